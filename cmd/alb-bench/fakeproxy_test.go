package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/penguintechinc/marchproxy-alb/bench/peer"
)

// address is one of the bootstrap file.
type address struct {
	Socket struct {
		Host string `json:"address"`
		Port int    `json:"port_value"`
	} `json:"socket_address"`
}

func (a address) String() string { return a.Socket.Host + ":" + strconv.Itoa(a.Socket.Port) }

type file struct{ Filename string }

// bootstrap is what the fake proxy takes from the file.
type bootstrap struct {
	Static struct {
		Listeners []struct {
			Address address
			Chains  []struct {
				Socket struct {
					Config struct {
						Common struct {
							Certificates []struct {
								Chain file `json:"certificate_chain"`
								Key   file `json:"private_key"`
							} `json:"tls_certificates"`
						} `json:"common_tls_context"`
					} `json:"typed_config"`
				} `json:"transport_socket"`
			} `json:"filter_chains"`
		}
		Clusters []struct {
			Options map[string]any `json:"typed_extension_protocol_options"`
			Load    struct {
				Endpoints []struct {
					LB []struct{ Endpoint struct{ Address address } } `json:"lb_endpoints"`
				}
			} `json:"load_assignment"`
		}
	} `json:"static_resources"`
}

// runFakeProxy is a reverse proxy that takes its addresses and protocols from the
// bootstrap file.
func runFakeProxy(args []string) error {
	if len(args) != 4 || args[0] != "-c" || args[2] != "--concurrency" || args[3] != "1" {
		return fmt.Errorf("arguments %q", args)
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	var config bootstrap
	if err := yaml.Unmarshal(text, &config); err != nil {
		return err
	}
	cluster := config.Static.Clusters[0]
	origin := cluster.Load.Endpoints[0].LB[0].Endpoint.Address.String()
	transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 1000}
	transport.Protocols.SetHTTP1(cluster.Options == nil)
	transport.Protocols.SetUnencryptedHTTP2(cluster.Options != nil)
	lazy := os.Getenv("FAKE_PROXY_LAZY") != ""
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: origin})
			r.SetXForwarded()
			r.Out.Header.Set(peer.RequestHeader, peer.HeaderValue)
			if !lazy {
				r.Out.Header.Set("X-Request-Id", "1")
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set(peer.ResponseHeader, peer.HeaderValue)
			return nil
		},
	}
	listener := config.Static.Listeners[0]
	server := &http.Server{Addr: listener.Address.String(), Handler: proxy, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}
	if shown := listener.Chains[0].Socket.Config.Common.Certificates; len(shown) > 0 {
		return server.ListenAndServeTLS(shown[0].Chain.Filename, shown[0].Key.Filename)
	}
	return server.ListenAndServe()
}
