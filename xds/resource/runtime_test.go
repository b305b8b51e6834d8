package resource

import (
	"fmt"
	"testing"

	runtimev3 "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestRuntime(t *testing.T) {
	object := func(fields map[string]any) *structpb.Struct {
		s, err := structpb.NewStruct(fields)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	values, err := Runtime(&runtimev3.Runtime{Name: "r", Layer: object(map[string]any{
		"a": map[string]any{"b": 1, "c": map[string]any{"numerator": 2}}, "d.e": false, "f": "text",
	})})
	if got, want := fmt.Sprint(values), `map[a.b:1 a.c:{"numerator":2} d.e:false f:text]`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	_, err = Runtime(&runtimev3.Runtime{Name: "r", Layer: object(map[string]any{"a": map[string]any{"b": nil}})})
	const want = `runtime "r": layer.a.b: must be a number, a truth value, a text, an object, or a fraction with numerator and denominator`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	many := make(map[string]any)
	for i := range maxRuntimeKeys + 1 {
		many[fmt.Sprint(i)] = i
	}
	if _, err := Runtime(&runtimev3.Runtime{Name: "r", Layer: object(many)}); err == nil {
		t.Error("keys over the limit were taken")
	}
}
