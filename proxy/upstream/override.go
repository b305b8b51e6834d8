package upstream

// indexHosts has hosts be found by their addresses, where requests may name them.
func (k *Cluster) indexHosts() {
	k.byAddress = nil
	if len(k.overrideFields) == 0 {
		return
	}
	k.byAddress = make(map[string]*Host, len(k.hosts))
	k.Hosts(func(h *Host) { k.byAddress[h.Address] = h })
}

// OverrideFields returns the names of the fields in which a request may name its host, as lists of addresses. The slices are
// the cluster's and must not be changed.
func (k *Cluster) OverrideFields() [][]byte { return k.overrideFields }

// HostAt returns the host at an address like "192.0.2.1:80" or "[2001:db8::1]:80", nil when there is none. It is for clusters that
// have OverrideFields.
func (k *Cluster) HostAt(address []byte) *Host { return k.byAddress[string(address)] }
