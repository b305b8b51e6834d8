// Package admin serves the HTTP faces of the proxy that carry no traffic: Envoy's administration interface, the metrics for
// Prometheus, and the health probes. Each is a [Server] of its own, made by [New], [NewMetrics] or [NewHealth] from the
// same [Options].
//
// Nothing here decides anything about the proxy. What is shown comes from functions in the Options, and so does what the
// mutating commands do. A command whose function is not given does not exist: it is not listed and answers 404.
//
// The administration interface keeps Envoy 1.38's paths, parameters, texts and JSON. Four things are our own:
//
//   - a mutating request that a browser sends from another site is refused (origin.go);
//   - there is one logger, so /logging knows the one name "main";
//   - errors say what would be valid;
//   - control characters in names are escaped in text.
//
// # Limitations
//
// There is no /tap and no /hystrix_event_stream, which Envoy has where a filter or sink of the configuration asks for them.
package admin
