package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

const permissions = "../../../docs/permissions.md"

// The documented table is what the .proto files declare, which is what the
// interceptor enforces.
func TestThePermissionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(permissions)
	if err != nil {
		t.Fatal(err)
	}
	if _, table, _ := strings.Cut(string(text), "\n\n| RPC"); "| RPC"+table != permissionTable() {
		t.Errorf("%s is not what is declared; its table should be\n%s", permissions, permissionTable())
	}
}

func permissionTable() string {
	columns := []warrenv1.Role{warrenv1.Role_ROLE_ANYONE, warrenv1.Role_ROLE_READER, warrenv1.Role_ROLE_ADMIN, warrenv1.Role_ROLE_WORKER, warrenv1.Role_ROLE_MANAGER}
	var rows []string
	methods(func(name string, _ protoreflect.MethodDescriptor, rule *warrenv1.Access) {
		row := "| " + strings.TrimPrefix(name, "/warren.v1.") + " |"
		for _, role := range columns {
			may := slices.Contains(rule.GetRoles(), role) || slices.Contains(rule.GetRoles(), warrenv1.Role_ROLE_ANYONE) ||
				role == warrenv1.Role_ROLE_ADMIN && slices.Contains(rule.GetRoles(), warrenv1.Role_ROLE_READER)
			row += map[bool]string{true: " yes |", false: " |"}[may]
		}
		rows = append(rows, row)
	})
	slices.Sort(rows)
	return fmt.Sprintf("| RPC | without a certificate | reader | admin | worker | manager |\n| --- | --- | --- | --- | --- | --- |\n%s\n", strings.Join(rows, "\n"))
}
