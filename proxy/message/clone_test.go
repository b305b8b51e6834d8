package message_test

import (
	"reflect"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestCloneFrom holds that a clone is equal to what it was made of, and has no byte of it, also where it had been used before.
func TestCloneFrom(t *testing.T) {
	make2 := func() (r message.Request, buffer []byte) {
		buffer = []byte("POST https a.test:8 /p?q websocket x-other value x-request-id abc")
		part := func(from, to int) []byte { return buffer[from:to] }
		r = message.Request{
			Method: part(0, 4), Scheme: part(5, 10), Authority: part(11, 19), Path: part(20, 24), Upgrade: part(25, 34),
			Version: message.HTTP2, ContentLength: 7, ExpectContinue: true,
		}
		r.Fields.AddRaw(part(35, 42), part(43, 48))
		r.Fields.AddRaw(part(49, 61), part(62, 65))
		r.Fields.NeverIndex(message.NameXRequestID)
		return r, buffer
	}
	src, buffer := make2()
	var clone message.Request
	clone.Fields.Add(message.NameVia, []byte("before"))
	clone.CloneFrom(&src, nil)
	clear(buffer)
	want, _ := make2()
	if !reflect.DeepEqual(clone, want) {
		t.Errorf("got %+v, want %+v", clone, want)
	}
}
