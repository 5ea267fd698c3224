package spec

import (
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
)

func TestParseLiteral(t *testing.T) {
	key, value, err := ParseLiteral("password=a=b==\x00")
	if err != nil || key != "password" || value != "a=b==\x00" {
		t.Errorf("got %q, %q, %v", key, value, err)
	}
	for _, bad := range []string{"hunter2", "=hunter2", "hunter2="} {
		_, _, err := ParseLiteral(bad)
		if err == nil {
			t.Errorf("%q passed", bad)
			continue
		}
		wantProblem(t, err, Invalid)
		if bad != "hunter2=" && strings.Contains(err.Error()+err.(*Problem).Hint, "hunter2") {
			t.Errorf("the error repeats what may be the secret: %v", err)
		}
	}
}

func TestValidateSecret(t *testing.T) {
	items := func(keys ...string) (out []*warrenv1.SealedItem) {
		for _, k := range keys {
			out = append(out, &warrenv1.SealedItem{Key: k})
		}
		return out
	}
	for _, c := range []struct {
		items []*warrenv1.SealedItem
		want  string
	}{
		{items(""), ""},
		{items("user", "password.txt"), ""},
		{items(), "no value"},
		{items("a", "a"), "twice"},
		{items("a", ""), "empty key"},
		{items(".."), "not valid"},
		{items("a/b"), "not valid"},
		{items(make([]string, MaxSecretKeys+1)...), "limit"},
	} {
		r := &warrenv1.CreateSecretRequest{Name: "s", Items: c.items}
		DefaultSecret(r)
		err := ValidateSecret(r)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		wantProblem(t, err, Invalid)
	}
}

func TestSecretSizeAtItsBoundary(t *testing.T) {
	for size, good := range map[uint64]bool{0: false, 1: true, MaxSecretBytes: true, MaxSecretBytes + 1: false} {
		if err := SecretSize("s", size); (err == nil) != good {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func FuzzParseLiteral(f *testing.F) {
	f.Add("a=b")
	f.Fuzz(func(t *testing.T, arg string) {
		key, value, err := ParseLiteral(arg)
		if err == nil && (key+"="+value != arg || strings.Contains(key, "=")) {
			t.Errorf("%q became %q and %q", arg, key, value)
		}
	})
}
