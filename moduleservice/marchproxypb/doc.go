// Package marchproxypb is generated from moduleservice/marchproxy.proto: the messages, client and server of
// marchproxy.ModuleService. `make proto` writes it again.
package marchproxypb
