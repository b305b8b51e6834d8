package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

// h2cClient returns a client of net/http that speaks HTTP/2 with prior knowledge.
func h2cClient(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post uploads a body with the trailer x-sent, and returns the response, whose body has been read and given.
func post(client *http.Client, url string, body []byte) (*http.Response, []byte, error) {
	// A reader of which net/http does not know the length, as a request with trailers must have.
	req, err := http.NewRequest(http.MethodPost, url, io.MultiReader(bytes.NewReader(body)))
	if err != nil {
		return nil, nil, err
	}
	req.Trailer = http.Header{"X-Sent": {"yes"}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	got, err := io.ReadAll(resp.Body)
	return resp, got, errors.Join(err, resp.Body.Close())
}

// TestNetHTTP has many uploads with trailers at a time, echoed as they come, by the client of Go's standard library.
func TestNetHTTP(t *testing.T) {
	const uploads = 50
	p := startWithOrigin(t)
	body := pattern(uploadSize / 4)
	for protocol, prefix := range originPaths {
		t.Run(protocol, func(t *testing.T) {
			client := h2cClient(t)
			var all sync.WaitGroup
			for range uploads {
				all.Go(func() {
					resp, got, err := post(client, "http://"+p.Address()+prefix+"/echo", body)
					switch {
					case err != nil:
						t.Error(err)
					case resp.StatusCode != http.StatusOK || !bytes.Equal(got, body):
						t.Errorf("got %s and %d bytes, want 200 and the %d that were sent", resp.Status, len(got), len(body))
					case resp.Trailer.Get("x-bytes") != fmt.Sprint(len(body)) || resp.Trailer.Get("x-echoed") != "yes":
						t.Errorf("got trailers %v, want x-bytes: %d and x-echoed: yes", resp.Trailer, len(body))
					}
				})
			}
			all.Wait()
		})
	}
	t.Run("refused", func(t *testing.T) { refuse(t, p) })
}

// refuse has uploads refused before they have come: see TestNghttpRefused.
func refuse(t *testing.T, p *process.Proxy) {
	client := h2cClient(t)
	for range refusedUploads {
		resp, got, err := post(client, "http://"+p.Address()+"/refused", pattern(uploadSize))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusForbidden || string(got) != refusal {
			t.Errorf("got %s and %q, want 403 and %q", resp.Status, got, refusal)
		}
	}
}
