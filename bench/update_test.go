//go:build bench

package bench

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	webReplicas = 20
	webClients  = 16
	// webPause is between two requests of a client, so that the load does not
	// take all of the machine.
	webPause = 5 * time.Millisecond
)

// TestUpdate replaces 20 tasks of a service that is called all the time, half of
// the clients over a connection for each request and half over ones that they
// keep, and counts the requests that were not answered.
func TestUpdate(t *testing.T) {
	n, r := startNode(t), result
	n.loadWeb(t)
	port := freePort(t)
	n.run(t, "service", "create", "web", "--image", webImages[0], "--replicas", fmt.Sprint(webReplicas), "--publish", port+":80",
		"--health-http", ":80/", "--update-parallelism", "5", "--update-monitor", "500ms")
	n.run(t, "service", "wait", "web")
	t.Cleanup(func() { n.run(t, "service", "delete", "web") })

	load := callAll(t, "http://127.0.0.1:"+port+"/")
	var startFirst, stopFirst samples
	for i := range 4 {
		order, into := "start-first", &startFirst
		if i >= 2 {
			order, into = "stop-first", &stopFirst
		}
		began := time.Now()
		n.run(t, "service", "update", "web", "--image", webImages[(i+1)%2], "--update-order", order)
		*into = append(*into, time.Since(began).Seconds())
	}
	load.stop()
	r.measurement("update of 20 tasks under load, 5 at once, start-first", "s", startFirst)
	r.measurement("update of 20 tasks under load, 5 at once, stop-first", "s", stopFirst)
	r.atMost("requests lost in four updates", float64(load.lost.Load()), 0, "")
	r.note("requests answered during the updates: %d; slowest %v; of those lost, the first: %v",
		load.answered.Load(), time.Duration(load.slowest.Load()).Round(time.Millisecond), load.first.Load())
}

// callers call a service until it is stopped.
type callers struct {
	end            chan struct{}
	work           sync.WaitGroup
	answered, lost atomic.Int64
	slowest        atomic.Int64
	first          atomic.Value
}

func callAll(t *testing.T, url string) *callers {
	l := &callers{end: make(chan struct{})}
	for i := range webClients {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		l.work.Go(func() { l.call(client, url) })
	}
	t.Cleanup(l.stop)
	return l
}

func (l *callers) stop() {
	select {
	case <-l.end:
	default:
		close(l.end)
	}
	l.work.Wait()
}

func (l *callers) call(client *http.Client, url string) {
	defer client.CloseIdleConnections()
	pause := time.NewTicker(webPause)
	defer pause.Stop()
	for {
		select {
		case <-l.end:
			return
		case <-pause.C:
		}
		began := time.Now()
		if err := get200(client, url); err != nil {
			l.lost.Add(1)
			l.first.CompareAndSwap(nil, err.Error())
			continue
		}
		l.answered.Add(1)
		if took := int64(time.Since(began)); took > l.slowest.Load() {
			l.slowest.Store(took)
		}
	}
}

func get200(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered with %s", answer.Status)
	}
	return nil
}
