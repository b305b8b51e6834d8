package message

// IsGRPC reports whether a content-type is one of gRPC ("Content-Type" of PROTOCOL-HTTP2.md).
func IsGRPC(contentType []byte) bool {
	const grpc = "application/grpc"
	if len(contentType) < len(grpc) || string(contentType[:len(grpc)]) != grpc {
		return false
	}
	return len(contentType) == len(grpc) || contentType[len(grpc)] == '+' || contentType[len(grpc)] == ';'
}

// GRPCStatus maps an HTTP status to a gRPC one as Envoy does (http-grpc-status-mapping.md of grpc, but 429 is UNAVAILABLE).
func GRPCStatus(status int) int64 {
	switch status {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return 14
	default:
		return 2
	}
}

// AppendPercentEncoded appends s as the value of grpc-message: everything but printable ASCII, and the percent sign, is
// escaped ("Percent-Byte-Unencoded" of PROTOCOL-HTTP2.md). So is a space at either end, where no field value may have one
// (RFC 9110 section 5.5).
func AppendPercentEncoded[T string | []byte](dst []byte, s T) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		outer := i == 0 || i == len(s)-1
		if c := s[i]; c > ' ' && c <= '~' && c != '%' || c == ' ' && !outer {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
