package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapped is a logger of the library that writes into ours. What the library tells as news is detail here.
func zapped(log *slog.Logger) *zap.Logger { return zap.New(&bridge{log: log}) }

// bridge is a zapcore.Core over slog.
type bridge struct {
	log *slog.Logger
}

// level is ours for one of theirs: what failed is told with the name's status.
func level(l zapcore.Level) slog.Level {
	switch {
	case l < zapcore.WarnLevel:
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// Enabled implements zapcore.LevelEnabler.
func (b *bridge) Enabled(l zapcore.Level) bool { return b.log.Enabled(context.Background(), level(l)) }

// With implements zapcore.Core.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{slog.New(b.log.Handler().WithAttrs(attrs(fields)))}
}

// Check implements zapcore.Core.
func (b *bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

// Write implements zapcore.Core.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b.log.LogAttrs(context.Background(), level(e.Level), e.Message, attrs(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (b *bridge) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	all := zapcore.NewMapObjectEncoder()
	out := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		f.AddTo(all)
		if v, there := all.Fields[f.Key]; there {
			out = append(out, slog.Any(f.Key, v))
		}
	}
	return out
}
