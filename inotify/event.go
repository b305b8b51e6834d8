package inotify

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// bufferBytes is what one read takes at most: some hundred events, and more than the longest (inotify(7): a header and a name of 255
// bytes), which a read needs to succeed at all.
const bufferBytes = 16 << 10

// event is one struct inotify_event.
type event struct {
	descriptor int32
	mask       uint32
	name       []byte // borrowed from the buffer
}

// nextEvent takes an event off a buffer that the kernel filled. ok is false when there is no whole one.
func nextEvent(buffer []byte) (e event, rest []byte, ok bool) {
	if len(buffer) < unix.SizeofInotifyEvent {
		return event{}, nil, false
	}
	e.descriptor = int32(binary.NativeEndian.Uint32(buffer))
	e.mask = binary.NativeEndian.Uint32(buffer[4:])
	length := binary.NativeEndian.Uint32(buffer[12:]) // after the cookie
	buffer = buffer[unix.SizeofInotifyEvent:]
	if uint64(length) > uint64(len(buffer)) {
		return event{}, nil, false
	}
	e.name, _, _ = bytes.Cut(buffer[:length], []byte{0}) // the kernel pads names
	return e, buffer[length:], true
}

// read takes events until the instance is closed.
func (w *Watcher) read() {
	defer close(w.ended)
	buffer := make([]byte, bufferBytes)
	for {
		n, err := w.file.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:n]; ; {
			var e event
			var ok bool
			if e, rest, ok = nextEvent(rest); !ok {
				break
			}
			w.handle(e)
		}
	}
}

// handle tells the watches that an event is for.
func (w *Watcher) handle(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.mask&unix.IN_Q_OVERFLOW != 0 { // events were lost: of any directory
		for _, d := range w.directories {
			d.tell("")
		}
		return
	}
	d := w.directories[e.descriptor]
	if d == nil {
		return
	}
	switch {
	case e.mask&unix.IN_IGNORED != 0: // the kernel has dropped the watch, as it does when the directory is gone
		delete(w.directories, e.descriptor)
		d.tell("")
	case e.mask&unix.IN_MOVE_SELF != 0:
		d.tell("")
	case e.mask&unix.IN_MOVED_TO != 0:
		d.tell(string(e.name))
	}
}

// tell tells the watches of name, or all for no name.
func (d *directory) tell(name string) {
	for _, watch := range d.watches {
		if name == "" || watch.name == "" || watch.name == name {
			watch.tell()
		}
	}
}
