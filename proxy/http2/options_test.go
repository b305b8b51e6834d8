package http2

import (
	"reflect"
	"testing"
	"time"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// TestOptionsOf gives every field of the configuration a value of its own and finds it in the options again.
func TestOptionsOf(t *testing.T) {
	h := config.HTTP2{
		TableSize: 1, MaxStreams: 2, StreamWindow: 3, ConnWindow: 4, AllowConnect: true, AllowMetadata: true,
		MaxOutboundFrames: 5, MaxOutboundControlFrames: 6, MaxEmptyFrames: 7, MaxPriorityFrames: 8, MaxWindowUpdates: 9,
		StrictMessages: true, KeepaliveInterval: 10 * time.Second, KeepaliveTimeout: 11 * time.Second,
		KeepaliveIdle: 12 * time.Second, KeepaliveJitter: 13,
	}
	want := reflect.ValueOf(h)
	got := reflect.ValueOf(OptionsOf(&h, 14, 15)).Elem()
	for i := range want.NumField() {
		name := want.Type().Field(i).Name
		if want.Field(i).IsZero() {
			t.Errorf("the test leaves %s out", name)
		}
		field := got.FieldByName(name)
		if !field.IsValid() || !field.Convert(want.Field(i).Type()).Equal(want.Field(i)) {
			t.Errorf("%s is %v, want %v", name, field, want.Field(i))
		}
	}
	if o := OptionsOf(&h, 14, 15); o.HeaderBytes != 14<<10 || o.FieldCount != 15 {
		t.Errorf("%d bytes and %d fields, want 14 KiB and 15", o.HeaderBytes, o.FieldCount)
	}
}
