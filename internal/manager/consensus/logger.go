package consensus

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogger lets Raft write to slog. Raft's "info" is our "debug": elections of
// a single manager are no news.
type hclogger struct {
	hclog.Logger
	log *slog.Logger
}

func raftLogger(log *slog.Logger) hclog.Logger {
	return &hclogger{hclog.NewNullLogger(), log}
}

func (l *hclogger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Warn:
		to = slog.LevelWarn
	case hclog.Error:
		to = slog.LevelError
	}
	l.log.Log(context.Background(), to, msg, args...)
}

func (l *hclogger) Trace(string, ...any)           {}
func (l *hclogger) Debug(msg string, args ...any)  { l.Log(hclog.Debug, msg, args...) }
func (l *hclogger) Info(msg string, args ...any)   { l.Log(hclog.Info, msg, args...) }
func (l *hclogger) Warn(msg string, args ...any)   { l.Log(hclog.Warn, msg, args...) }
func (l *hclogger) Error(msg string, args ...any)  { l.Log(hclog.Error, msg, args...) }
func (l *hclogger) With(args ...any) hclog.Logger  { return raftLogger(l.log.With(args...)) }
func (l *hclogger) Named(name string) hclog.Logger { return raftLogger(l.log.With("part", name)) }
func (l *hclogger) ResetNamed(string) hclog.Logger { return l }
