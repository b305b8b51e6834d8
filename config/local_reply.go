package config

// LocalReply is LocalReplyConfig of a connection manager: what becomes of answers of the proxy's own.
type LocalReply struct {
	// Mappers are asked in order. The first whose filter passes the answer changes it.
	Mappers []ReplyMapper
	// Format makes the body where the mapper has no format; nil leaves it as it is.
	Format *ReplyFormat
}

// ReplyMapper is ResponseMapper: what becomes of the answers that a filter passes.
type ReplyMapper struct {
	Filter *LogFilter
	Status int     // 200 to 599, 0 for what it is
	Body   *string // nil for what it is
	Format *ReplyFormat
	Add    []HeaderValue // to the answer
}

// ReplyFormat makes the body of an answer.
type ReplyFormat struct {
	Body        LogFormat
	ContentType string
}
