package config

import "net/netip"

// OriginalIP is one of original_ip_detection_extensions: a way to find the address of the client.
type OriginalIP struct {
	// Header is the field that has it, lower-case (CustomHeaderConfig); empty for x-forwarded-for (XffConfig).
	Header string
	// Trusted says that the address in Header may tell internal requests (allow_extension_to_set_address_as_trusted).
	Trusted bool
	// RejectStatus, 400 to 511, answers requests that have no address in Header; 0 has the next way tried.
	RejectStatus int

	// Hops is how many proxies have added an entry to x-forwarded-for after that of the client (xff_num_trusted_hops).
	Hops uint32
	// Proxies are whom x-forwarded-for is believed from, and whose entries are passed over, in place of Hops (xff_trusted_cidrs).
	Proxies []netip.Prefix
	// Append adds the peer to x-forwarded-for (skip_xff_append: false).
	Append bool
}
