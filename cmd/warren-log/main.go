// Command warren-log writes what one container prints to its log file. The
// container's shim starts it, so that neither a stopped nor an upgraded warren
// keeps a container waiting at a full pipe.
//
// The shim hands over pipes as file descriptors: 3 and 4 are the container's
// output, 5 is closed to say that the container may start. The arguments are
// name and value pairs, in no particular order: path FILE, bytes MAX, files MAX.
package main

import (
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/cuemby/warren/internal/worker/runtime/logs"
)

func main() {
	// The shim asks it to end before the last lines are read; the end of both
	// pipes is what ends it.
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := run(os.Args[1:]); err != nil {
		os.Stderr.WriteString("warren-log: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(args []string) error {
	path, maxBytes, maxFiles := "", int64(logs.DefaultMaxBytes), logs.DefaultMaxFiles
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "path":
			path = args[i+1]
		case "bytes":
			maxBytes, _ = strconv.ParseInt(args[i+1], 10, 64)
		case "files":
			maxFiles, _ = strconv.Atoi(args[i+1])
		}
	}
	w, err := logs.NewWriter(path, maxBytes, maxFiles)
	if err != nil {
		return err
	}
	defer w.Close()
	ready := os.NewFile(5, "ready")
	if _, err := ready.Write([]byte{0}); err != nil {
		return err
	}
	if err := ready.Close(); err != nil {
		return err
	}

	var streams sync.WaitGroup
	errs := make([]error, 2)
	for i, stream := range []logs.Stream{logs.Stdout, logs.Stderr} {
		streams.Go(func() { errs[i] = w.Copy(stream, os.NewFile(uintptr(3+i), stream.String())) })
	}
	streams.Wait()
	if errs[0] != nil {
		return errs[0]
	}
	return errs[1]
}
