package file

import (
	"testing"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3" // a type that texts can name
)

func FuzzDecode(f *testing.F) {
	paths := []string{"a.yaml", "a.json", "a.pb", "a.pb_text"}
	f.Add(uint8(0), []byte("version_info: v1\nresources:\n- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: a\n"))
	f.Add(uint8(1), []byte(`{"versionInfo": "v1", "resources": [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}]}`))
	f.Add(uint8(2), []byte("\x0a\x02v1"))
	f.Add(uint8(3), []byte(`version_info: "v1" resources { type_url: "a" }`))
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		r, _, err := decode(data, paths[int(format)%len(paths)], format&128 != 0)
		if (r == nil) == (err == nil) {
			t.Errorf("response %v and error %v", r, err)
		}
	})
}
