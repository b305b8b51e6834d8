package main

import (
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// levelOff is above every level there is.
const levelOff = zapcore.FatalLevel + 1

// parseLevel reads a level by Envoy's names, and the common other spellings.
func parseLevel(name string) (zapcore.Level, error) {
	switch name {
	case "trace", "debug":
		return zapcore.DebugLevel, nil
	case "info":
		return zapcore.InfoLevel, nil
	case "warning", "warn":
		return zapcore.WarnLevel, nil
	case "error":
		return zapcore.ErrorLevel, nil
	case "critical", "fatal":
		return zapcore.FatalLevel, nil
	case "off":
		return levelOff, nil
	}
	return 0, fmt.Errorf("%q is not a level (trace, debug, info, warning, error, critical, off)", name)
}

// logFile is where the log goes: standard error, or a file that can be opened anew after it was moved away.
type logFile struct {
	path string

	mu   sync.Mutex // guards file
	file *os.File
}

func openLog(path string) (*logFile, error) {
	f := &logFile{path: path, file: os.Stderr}
	return f, f.reopen()
}

// reopen opens the file at the path again. The old one stays in use when that fails.
func (f *logFile) reopen() error {
	if f.path == "" {
		return nil
	}
	next, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != os.Stderr {
		_ = f.file.Close()
	}
	f.file = next
	return nil
}

// Write implements zapcore.WriteSyncer.
func (f *logFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(p)
}

// Sync implements zapcore.WriteSyncer. Every line is written as it comes.
func (f *logFile) Sync() error { return nil }

// newLogger returns a logger of JSON lines.
func newLogger(to zapcore.WriteSyncer, level zap.AtomicLevel) *zap.Logger {
	encoder := zap.NewProductionEncoderConfig()
	encoder.TimeKey = "time"
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), to, level))
}
