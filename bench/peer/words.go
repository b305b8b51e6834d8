package peer

// words are what the templates of all kinds say about a task.
type words struct {
	Spec
	HTTP2, OriginHTTP2                         bool
	Streams                                    int
	RequestHeader, ResponseHeader, HeaderValue string
}

func (s Spec) words() words {
	return words{
		Spec:  s,
		HTTP2: s.Traffic.Downstream == HTTP2, OriginHTTP2: s.Traffic.Upstream == HTTP2, Streams: MaxStreams,
		RequestHeader: RequestHeader, ResponseHeader: ResponseHeader, HeaderValue: HeaderValue,
	}
}
