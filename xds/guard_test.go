package xds

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestDecoderPanicIsAnError(t *testing.T) {
	decode := guarded(func(proto.Message) (any, error) { panic("out of range") })
	if _, err := decode(nil); err == nil || !strings.Contains(err.Error(), "the decoder panicked: out of range") {
		t.Errorf("err = %v", err)
	}
}
