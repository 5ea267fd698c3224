package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	warrenv1 "github.com/cuemby/warren/api/warren/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var nobody = status.Error(codes.Unavailable, "connection lost")

func TestARepeatedCallCarriesTheSameRequestID(t *testing.T) {
	f := &fixture{answers: []error{nobody, nobody}}
	c := onSocket(t, f)
	for range 2 {
		if _, err := c.Volumes.CreateVolume(t.Context(), &warrenv1.CreateVolumeRequest{Name: "db"}); err != nil {
			t.Fatal(err)
		}
	}
	ids := f.calls()
	if len(ids) != 4 || len(ids[0]) != 1 || ids[0][0] == "" {
		t.Fatalf("the manager saw the IDs %q", ids)
	}
	if first := ids[0][0]; ids[1][0] != first || ids[2][0] != first {
		t.Errorf("one command, several IDs: %q", ids)
	}
	if ids[3][0] == ids[0][0] {
		t.Errorf("two commands, one ID: %q", ids)
	}
}

func TestACallThatOnlyReadsHasNoRequestID(t *testing.T) {
	f := &fixture{answers: []error{nobody}}
	c := onSocket(t, f)
	if _, err := c.Volumes.ListVolumes(t.Context(), &warrenv1.ListVolumesRequest{}); err != nil {
		t.Fatal(err)
	}
	if ids := f.calls(); len(ids) != 2 || len(ids[0])+len(ids[1]) != 0 {
		t.Errorf("the manager saw the IDs %q", ids)
	}
}

func TestWhatTheManagerAnswersIsNotRepeated(t *testing.T) {
	st, err := status.New(codes.Unavailable, "no node is ready").
		WithDetails(&warrenv1.ErrorDetail{Kind: "volume", Name: "db", Hint: "warren node list"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{answers: []error{st.Err()}}
	c := onSocket(t, f)
	_, err = c.Volumes.CreateVolume(t.Context(), &warrenv1.CreateVolumeRequest{Name: "db"})
	wantError(t, "unavailable", err, Failed, "no node is ready")
	if n := len(f.calls()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		lost := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			calls++
			return nobody
		}
		err := patience(5*time.Second).unary(t.Context(), "/warren.v1.Volumes/CreateVolume", nil, nil, nil, lost)
		wantError(t, "patience", err, Unreachable, "stopped answering", "connection lost")
		if took := time.Since(start); took > 5*time.Second || took < 2*time.Second || calls < 4 {
			t.Errorf("gave up after %s and %d calls", took, calls)
		}
	})
}

func TestACallThatWaitedForLongIsRepeatedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		lost := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
			if calls++; calls > 1 {
				return nil
			}
			<-time.After(time.Minute)
			return nobody
		}
		err := patience(5*time.Second).unary(t.Context(), "/warren.v1.Volumes/DeleteVolume", nil, nil, nil, lost)
		if err != nil || calls != 2 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

func TestAnInterruptedCallIsNotRepeated(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	lost := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		calls++
		cancel()
		return nobody
	}
	if err := patience(time.Hour).unary(ctx, "/warren.v1.Volumes/ListVolumes", nil, nil, nil, lost); err == nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestMutatingIsReadFromTheProto(t *testing.T) {
	for method, want := range map[string]bool{
		"/warren.v1.Volumes/CreateVolume": true,
		"/warren.v1.Volumes/ListVolumes":  false,
		"/warren.v1.Nothing/Nowhere":      false,
	} {
		if got := mutating(method); got != want {
			t.Errorf("mutating(%s) = %v", method, got)
		}
	}
}
