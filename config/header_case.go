package config

// HeaderCase is envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat: how the names of fields are spelled on connections of
// HTTP/1. The zero value has them in lower case.
type HeaderCase struct {
	// Proper has the words of names that are written begin with capitals (proper_case_words).
	Proper bool
	// Preserve keeps how names are spelled in what is read, for where that is passed on over HTTP/1 (preserve_case). Then
	// ProperOthers has names that were added begin their words with capitals (formatter_type_on_envoy_headers), and ForwardReason
	// passes reason phrases on (forward_reason_phrase).
	Preserve, ProperOthers, ForwardReason bool
}
