package controlplane

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// serviceJSON and routeJSON return JSON of one valid element with some fields replaced.
func serviceJSON(fields string) string {
	return withFields(`"name":"a","hosts":["10.0.0.1"],"port":80`, fields)
}

func routeJSON(fields string) string {
	return withFields(`"name":"r","prefix":"/","cluster_name":"a"`, fields)
}

// withFields relies on encoding/json taking the last of two equal keys.
func withFields(base, fields string) string {
	if fields == "" {
		return "{" + base + "}"
	}
	return "{" + base + "," + fields + "}"
}

func doc(services, routes, certificates string) string {
	return fmt.Sprintf(`{"version":"1","services":[%s],"routes":[%s],"certificates":[%s]}`, services, routes, certificates)
}

func TestRefusals(t *testing.T) {
	a, b := serviceJSON(""), serviceJSON(`"name":"b"`)
	for _, test := range []struct{ name, in, want string }{
		{"empty body", ``, "the JSON ends too early"},
		{"cut off", `{"services":[`, "the JSON ends too early"},
		{"not JSON", `{"services":}`, "not JSON at byte 13: invalid character '}' looking for beginning of value"},
		{"two documents", `{} {}`, "more follows the JSON object, which must stand alone"},
		{"not an object", `[]`, "a JSON array is not a object"},
		{"unknown field", `{"servces":[]}`, "servces: unknown field"},
		{"unknown field of a service", doc(a+`,{"name":"b","prot":80}`, "", ""), "services[1].prot: unknown field"},
		{"unknown field of a route", doc(a, routeJSON(`"weight":1`), ""), "routes[0].weight: unknown field"},
		{"version list", `{"version":[]}`, "[] is neither a string nor a number"},
		{"port as string", doc(serviceJSON(`"port":"80"`), "", ""), "services[0].port: a JSON string is not a whole number"},
		{"port as fraction", doc(serviceJSON(`"port":80.5`), "", ""), "services[0].port: a JSON number 80.5 is not a whole number"},
		{"hosts as string", doc(serviceJSON(`"hosts":"a"`), "", ""), "services[0].hosts: a JSON string is not a list"},
		{"flag as string", doc(serviceJSON(`"tls_enabled":"yes"`), "", ""), "services[0].tls_enabled: a JSON string is not a boolean"},

		{"service without name", doc(a+`,{"hosts":["10.0.0.1"],"port":80}`, "", ""), "services[1].name: missing"},
		{"service null", doc(`null`, "", ""), "services[0].name: missing"},
		{"service name with blank", doc(serviceJSON(`"name":"a b"`), "", ""), `services[0].name: "a b" has a blank, a control character or bytes that are not UTF-8`},
		{"service name too long", doc(serviceJSON(`"name":"`+strings.Repeat("x", 256)+`"`), "", ""), "services[0].name: 256 bytes long, more than 255"},
		{"service twice", doc(a+","+b+","+a, "", ""), `services[2].name: "a" is the name of services[0] already`},
		{"port too high", doc(a+","+serviceJSON(`"name":"b","port":70000`), "", ""), "services[1].port: 70000 is not a port (1-65535)"},
		{"port zero", doc(serviceJSON(`"port":0`), "", ""), "services[0].port: 0 is not a port (1-65535)"},
		{"port negative", doc(serviceJSON(`"port":-1`), "", ""), "services[0].port: -1 is not a port (1-65535)"},
		{"protocol", doc(serviceJSON(`"protocol":"tcp"`), "", ""), `services[0].protocol: "tcp" is not one of http, https, http2, grpc, websocket`},
		{"no hosts", doc(serviceJSON(`"hosts":[]`), "", ""), "services[0].hosts: at least one IP address or DNS name is needed"},
		{"host with port", doc(serviceJSON(`"hosts":["10.0.0.1","b:80"]`), "", ""), `services[0].hosts[1]: "b:80" is neither an IP address nor a DNS name (the port goes in port)`},
		{"host like an address", doc(serviceJSON(`"hosts":["10.0.0.256"]`), "", ""), `services[0].hosts[0]: "10.0.0.256" is neither an IP address nor a DNS name (the port goes in port)`},
		{"host with zone", doc(serviceJSON(`"hosts":["fe80::1%eth0"]`), "", ""), `services[0].hosts[0]: "fe80::1%eth0" has a zone, which an endpoint cannot have`},
		{"timeout negative", doc(serviceJSON(`"timeout_seconds":-5`), "", ""), "services[0].timeout_seconds: -5 is not a number of seconds from 0 to 86400"},
		{"timeout too long", doc(serviceJSON(`"timeout_seconds":86401`), "", ""), "services[0].timeout_seconds: 86401 is not a number of seconds from 0 to 86400"},
		{"health path", doc(serviceJSON(`"health_check_path":"healthz"`), "", ""), `services[0].health_check_path: "healthz" does not begin with "/"`},
		{"verify without TLS", doc(serviceJSON(`"tls_verify":true`), "", ""), "services[0].tls_verify: true, but tls_enabled is false"},
		{"unknown certificate", doc(serviceJSON(`"tls_enabled":true,"tls_cert_name":"x"`), "", ""), `services[0].tls_cert_name: "x" is not the name of a certificate`},

		{"route without name", doc(a, routeJSON(`"name":""`), ""), "routes[0].name: missing"},
		{"route twice", doc(a, routeJSON("")+","+routeJSON(`"prefix":"/b"`), ""), `routes[1].name: "r" is the name of routes[0] already`},
		{"prefix relative", doc(a, routeJSON(`"prefix":"api"`), ""), `routes[0].prefix: "api" does not begin with "/"`},
		{"prefix with query", doc(a, routeJSON(`"prefix":"/a?b"`), ""), `routes[0].prefix: "/a?b" has a character that cannot be in a path (percent-encode it)`},
		{"prefix too long", doc(a, routeJSON(`"prefix":"/`+strings.Repeat("x", 8192)+`"`), ""), "routes[0].prefix: 8193 bytes long, more than 8192"},
		{"no cluster", doc(a, routeJSON(`"cluster_name":""`), ""), "routes[0].cluster_name: missing: the name of a service is needed"},
		{"unknown cluster", doc(a, routeJSON("")+","+routeJSON(`"name":"s","cluster_name":"c"`), ""), `routes[1].cluster_name: "c" is not the name of a service`},
		{"route timeout", doc(a, routeJSON(`"timeout":-1`), ""), "routes[0].timeout: -1 is not a number of seconds from 0 to 86400"},
		{"host with path", doc(a, routeJSON(`"hosts":["a.test","a.test/x"]`), ""), `routes[0].hosts[1]: "a.test/x" is not a host name, with or without a port, nor a pattern that begins or ends with "*"`},
		{"host twice", doc(a, routeJSON(`"hosts":["a.test","A.test"]`), ""), `routes[0].hosts[1]: "a.test" occurs twice`},
		{"same host and prefix", doc(a, routeJSON("")+","+routeJSON(`"name":"s","hosts":["*"]`), ""), `routes[1].prefix: "/" on host "*" is routes[0] already, which would take every request`},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantRefusal(t, test.in, test.want)
		})
	}
}

func wantRefusal(t *testing.T, in, want string) {
	t.Helper()
	config, err := DecodeConfig([]byte(in))
	if err == nil {
		err = config.Validate()
	}
	var field *FieldError
	if !errors.As(err, &field) {
		t.Fatalf("got %v, want a *FieldError", err)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestCertificateRefusals(t *testing.T) {
	f := newFixture(t)
	other := newIdentity(t)
	cert := func(fields string) string { return withFields(`"name":"c"`, fields) }
	served := `"cert_chain":"@chain","private_key":"@key"`
	for _, test := range []struct{ name, certificates, want string }{
		{"no name", `{"ca_cert":"@ca"}`, "certificates[0].name: missing"},
		{"nothing in it", cert(""), "certificates[0]: neither private_key nor ca_cert: nothing to use it for"},
		{"chain without key", cert(`"cert_chain":"@chain","ca_cert":"@ca"`), "certificates[0].private_key: missing for cert_chain"},
		{"key without chain", cert(`"private_key":"@key"`), "certificates[0].cert_chain: no certificate in PEM"},
		{"key of another", cert(`"cert_chain":"@ca","private_key":"@key"`), "certificates[0].private_key: not the key of the first certificate in cert_chain"},
		{"key for chain", cert(`"cert_chain":"@key","private_key":"@key"`), `certificates[0].cert_chain: PEM block "EC PRIVATE KEY" where CERTIFICATE is expected`},
		{"key is not PEM", cert(`"cert_chain":"@chain","private_key":"secret"`), "certificates[0].private_key: not a private key in PEM"},
		{"key is a certificate", cert(`"cert_chain":"@chain","private_key":"@ca"`), "certificates[0].private_key: not a private key in PKCS #8, PKCS #1 or SEC 1"},
		{"CA is not PEM", cert(`"ca_cert":"x"`), "certificates[0].ca_cert: no certificate in PEM"},
		{"clients without CA", cert(served + `,"require_client":true`), "certificates[0].require_client: true needs a private_key to serve with and a ca_cert to verify clients with"},
		{"name of a CA", `{"name":"c_validation","ca_cert":"@ca"},` + cert(`"ca_cert":"@ca"`), `certificates[0].name: "c_validation" is what the CA of certificate "c" is called`},
		{"disagree on clients", cert(served) + `,{"name":"d","ca_cert":"@ca","require_client":true,` + served + `}`,
			"certificates[1].require_client: true, but certificates[0] says false and both are served by the one listener"},
		{"disagree on CA", cert(served+`,"ca_cert":"@ca","require_client":true`) + `,{"name":"d","ca_cert":"` + quoted(other.chain) + `","require_client":true,` + served + `}`,
			"certificates[1].ca_cert: not that of certificates[0], and the one listener verifies clients with one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantRefusal(t, f.fill(doc("", "", test.certificates)), test.want)
		})
	}
	t.Run("no CA to verify with", func(t *testing.T) {
		wantRefusal(t, f.fill(doc(serviceJSON(`"tls_enabled":true,"tls_verify":true,"tls_cert_name":"c"`), "", cert(served))),
			`services[0].tls_cert_name: certificate "c" has no ca_cert to verify the service with`)
	})
}

func TestRefusalsNeverQuoteKeys(t *testing.T) {
	f := newFixture(t)
	_, err := DecodeConfig([]byte(f.fill(doc("", "", `{"name":"c","private_key":["@key"]}`))))
	if err == nil {
		t.Fatal("accepted")
	}
	if strings.Contains(err.Error(), "PRIVATE KEY") {
		t.Errorf("the error quotes the key: %s", err)
	}
}

func TestVersionForms(t *testing.T) {
	for in, want := range map[string]Version{
		`{}`: "", `{"version":null}`: "", `{"version":"a"}`: "a", `{"version":42}`: "42", `{"version":1.5}`: "1.5", `{"version": 12345678901234567890}`: "12345678901234567890",
	} {
		config, err := DecodeConfig([]byte(in))
		if err != nil || config.Version != want {
			t.Errorf("%s: got %q, %v, want %q", in, config.Version, err, want)
		}
	}
}

func TestCounts(t *testing.T) {
	repeat := func(n int) string { return strings.TrimSuffix(strings.Repeat("{},", n), ",") }
	wantRefusal(t, doc(repeat(maxServices+1), "", ""), "services: 1001 entries, more than 1000")
	wantRefusal(t, doc("", repeat(maxRoutes+1), ""), "routes: 10001 entries, more than 10000")
	wantRefusal(t, doc("", "", repeat(maxCertificates+1)), "certificates: 101 entries, more than 100")
	hosts := `"hosts":["10.0.0.1"` + strings.Repeat(`,"10.0.0.1"`, maxHosts) + `]`
	wantRefusal(t, doc(serviceJSON(hosts), "", ""), "services[0].hosts: 257 entries, more than 256")
	wantRefusal(t, doc(serviceJSON(""), routeJSON(hosts), ""), "routes[0].hosts: 257 entries, more than 256")
	wantRefusal(t, strings.Repeat(" ", MaxConfigBytes+1), fmt.Sprintf("the body has %d bytes, more than %d", MaxConfigBytes+1, MaxConfigBytes))
}

func TestIsDomain(t *testing.T) {
	for domain, want := range map[string]bool{
		"*": true, "a": true, "a.test": true, "A.test": true, "a_b.test": true, "a.test:1": true, "a.test:65535": true, "10.0.0.1": true, "10.0.0.1:80": true,
		"[::1]": true, "[::1]:80": true, "*.a.test": true, "*-a.test": true, "a.*": true, "a.test:*": true, "localhost": true, "*.a.test:80": true,
		"": false, "**": false, "*a*": false, "a*b": false, "a..b": false, "a.test:": false, "a.test:0": false, "a.test:65536": false, "a.test:+1": false, "::1": false,
		"[::1": false, "[10.0.0.1]": false, "a b": false, "a/b": false, "a@b": false, "1.2.3": false, "-a": false, "a-": false, "[fe80::1%25eth0]": false,
		strings.Repeat("a", 64): false, "é.test": false,
	} {
		if got := isDomain(domain); got != want {
			t.Errorf("isDomain(%q) = %t, want %t", domain, got, want)
		}
	}
}

// FuzzDecodeConfig checks that whatever is accepted translates to a consistent snapshot of valid resources.
func FuzzDecodeConfig(f *testing.F) {
	f.Add(twoServices)
	f.Add(doc(serviceJSON(`"protocol":"grpc","health_check_path":"/h"`), routeJSON(`"hosts":["*.a.test","b.test:1","c.*"]`), ""))
	f.Add(doc(serviceJSON(`"tls_enabled":true,"tls_verify":true,"hosts":["x","::1"]`), "", ""))
	f.Fuzz(func(t *testing.T, in string) {
		config, err := DecodeConfig([]byte(in))
		if err != nil || config.Validate() != nil {
			return
		}
		resources := Resources(config, DefaultListenerAddress, DefaultListenerPort)
		if _, err := newSnapshot("1", resources); err != nil {
			t.Error(err)
		}
		validateAll(t, resources)
	})
}
