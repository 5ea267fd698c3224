package containerd

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

// withLogger makes containerd log to l what it says to this context's logger.
func withLogger(ctx context.Context, l *slog.Logger) context.Context {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	// At its level debug, every shim would print to standard error.
	logger.SetLevel(logrus.InfoLevel)
	logger.AddHook(slogHook{l.With("by", "containerd")})
	setDefaultLogger(logger)
	return log.WithLogger(ctx, logrus.NewEntry(logger))
}

var defaultLogger sync.Once

// setDefaultLogger catches what containerd logs without a context.
func setDefaultLogger(logger *logrus.Logger) {
	defaultLogger.Do(func() { log.L = logrus.NewEntry(logger) })
}

// slogHook passes logrus' entries on. What fails in a call is returned to the
// caller, so containerd's errors are warnings here, and the rest is for those
// who look into containerd.
type slogHook struct{ log *slog.Logger }

// usual are errors that belong to every end of a container.
var usual = map[string]bool{"copy shim log": true, "failed to delete task": true, "ttrpc: received message on inactive stream": true}

func (slogHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h slogHook) Fire(e *logrus.Entry) error {
	level := slog.LevelDebug
	if e.Level <= logrus.ErrorLevel && !usual[e.Message] {
		level = slog.LevelWarn
	}
	ctx := e.Context
	if ctx == nil {
		ctx = context.Background()
	}
	if !h.log.Enabled(ctx, level) {
		return nil
	}
	attrs := make([]slog.Attr, 0, len(e.Data))
	for key, value := range e.Data {
		attrs = append(attrs, slog.Any(key, value))
	}
	h.log.LogAttrs(ctx, level, e.Message, attrs...)
	return nil
}
