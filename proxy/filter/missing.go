package filter

import "github.com/penguintechinc/marchproxy-alb/proxy/message"

// missing stands for a filter whose configuration was asked for and is not there: as in Envoy, no request passes it.
type missing struct{ unchanged }

// missingReply is the answer to every request, without a body as Envoy's.
var missingReply = &Reply{Status: 500, Details: "filter_config_not_found"}

// Open implements Filter.
func (m missing) Open(*Opening, Stream) Stream { return m }

// RequestHead implements Stream.
func (missing) RequestHead(*message.Request) *Reply { return missingReply }

// ResponseHead implements Stream.
func (missing) ResponseHead(*message.Response) bool { return false }

// Close implements Stream.
func (missing) Close() {}
