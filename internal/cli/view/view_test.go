package view

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var now = timestamppb.Now()

func TestASecretIsAsLargeAsItsNewestVersion(t *testing.T) {
	s := NewSecret(&warrenv1.Secret{Versions: []*warrenv1.SecretVersion{
		{Number: 3, Size: 10, Keys: []string{"a"}}, {Number: 4, Size: 23, Keys: []string{"b"}},
	}})
	if s.Version != 4 || s.Size != 23 || !reflect.DeepEqual(s.Keys, []string{"b"}) || len(s.Versions) != 2 {
		t.Errorf("got %+v", s)
	}
}

func TestAServiceSaysHowItStands(t *testing.T) {
	for want, s := range map[string]*warrenv1.Service{
		"running":  {Spec: &warrenv1.ServiceSpec{Replicas: 2}, Running: 2},
		"pending":  {Spec: &warrenv1.ServiceSpec{Replicas: 2}, Running: 1},
		"stopped":  {Spec: &warrenv1.ServiceSpec{Replicas: 2}, Stopped: true},
		"deleting": {Stopped: true, DeletedAt: now},
	} {
		if got := NewService(s).State; got != want {
			t.Errorf("%v is %q, not %q", s, got, want)
		}
	}
}

func TestAVolumeThatGoesIsDeleting(t *testing.T) {
	v := NewVolume(&warrenv1.Volume{DeletedAt: now, Status: &warrenv1.VolumeStatus{Phase: warrenv1.VolumePhase_VOLUME_PHASE_READY}})
	if v.State != "deleting" || v.Size != nil {
		t.Errorf("got %+v", v)
	}
}

// Programs index and iterate without asking first.
func TestNothingIsNullButWhatIsUnknown(t *testing.T) {
	for _, v := range []any{
		NewVolume(nil), NewSecret(nil), NewService(nil), NewTask(nil), NewNode(nil),
		NewImage(nil), NewRegistry(nil), NewCluster(nil, ""), NewRotation(nil), NewEvent(nil),
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		known := strings.NewReplacer(`"size":null`, "", `"exit_code":null`, "").Replace(string(text))
		if strings.Contains(known, "null") {
			t.Errorf("%T: %s", v, text)
		}
	}
}

func TestHealthOfAServiceIsWhatItsTasksAgreeOn(t *testing.T) {
	for want, s := range map[string]*warrenv1.Service{
		"":            {Running: 3},
		"healthy":     {Checked: 2, Healthy: 2},
		"unhealthy":   {Checked: 2, Unhealthy: 2},
		"starting":    {Checked: 2},
		"1/3 healthy": {Checked: 3, Healthy: 1, Unhealthy: 1},
		"0/2 healthy": {Checked: 2, Unhealthy: 1},
	} {
		if got := NewService(s).Health; got != want {
			t.Errorf("%v is %q, want %q", s, got, want)
		}
	}
	s := &warrenv1.Service{Spec: &warrenv1.ServiceSpec{Replicas: 2}, Running: 1, Finished: 1}
	if got := NewService(s).State; got != "finished" {
		t.Errorf("state %q", got)
	}
}
