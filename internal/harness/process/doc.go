// Package process runs the proxy and its peers as processes of their own, for tests that need what a proxy inside the test
// cannot give: its memory and CPU time alone, its log, its signals, its end, and that nothing of the test is in its way.
//
//	func TestMain(m *testing.M) { process.Main(m) }
//
//	s := process.NewSetup(origin.Addr())
//	s.HTTP()["http2_protocol_options"] = process.Fields{"max_concurrent_streams": 10}
//	p := s.Start(t)
//	c := harness.DialH2Address(t, p.Address())
//
// proxy-alb is built once in a run of a test binary, with the race detector where the test has it. A proxy that cannot be
// told to end, that ends with another status than 0, or whose log has a panic or a data race, fails the test that started it.
package process
