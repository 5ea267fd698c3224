package dispatch

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestWorkersMayBeOneLevelBehind(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Level = 5 }).lead()
	for level, says := range map[uint32]string{3: "upgrade the worker", 4: "", 5: "", 6: "upgrade all managers first"} {
		stream, err := h.client().Session(h.as("n1"))
		if err != nil {
			t.Fatal(err)
		}
		hello := &warrenv1.Hello{Node: &warrenv1.NodeDescription{}, Level: level}
		if err := stream.Send(&warrenv1.WorkerMessage{Message: &warrenv1.WorkerMessage_Hello{Hello: hello}}); err != nil {
			t.Fatal(err)
		}
		first, err := stream.Recv()
		switch {
		case says == "" && first.GetWelcome() == nil:
			t.Errorf("level %d was not welcomed: %v", level, err)
		case says != "" && (status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), says)):
			t.Errorf("level %d: %v", level, err)
		}
	}
}
