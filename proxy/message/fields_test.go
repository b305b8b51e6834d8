package message

import "testing"

func fieldsOf(pairs ...string) *Fields {
	f := &Fields{}
	for i := 0; i < len(pairs); i += 2 {
		f.AddRaw([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	return f
}

func (f *Fields) dump() string {
	s := ""
	for _, field := range f.All() {
		s += string(field.Name) + "=" + string(field.Value) + ";"
	}
	return s
}

func TestEveryWellKnownNameIsFound(t *testing.T) {
	for id := NameOther + 1; id < nameCount; id++ {
		if len(id.Bytes()) == 0 {
			t.Errorf("name %d has no spelling", id)
		}
		if got := LookupName(id.Bytes()); got != id {
			t.Errorf("LookupName(%q) = %d, want %d", id.Bytes(), got, id)
		}
	}
	hashes := make(map[uint32]NameID)
	for id := NameOther + 1; id < nameCount; id++ {
		if other, taken := hashes[nameHash(id.Bytes())]; taken {
			t.Errorf("%v and %v have the same hash: choose other factors", id, other)
		}
		hashes[nameHash(id.Bytes())] = id
	}
	for _, name := range []string{"", "x", "hosts", "content-lengti", "Host"} {
		if got := LookupName([]byte(name)); got != NameOther {
			t.Errorf("LookupName(%q) = %v, want NameOther", name, got)
		}
	}
}

func TestFieldsChange(t *testing.T) {
	base := []string{"host", "a", "x-a", "1", "cookie", "c1", "x-a", "2", "cookie", "c2"}
	set := NewNameSet(NameHost, NameCookie)
	tests := []struct {
		name string
		do   func(*Fields)
		want string
	}{
		{"del known", func(f *Fields) { f.Del(NameCookie) }, "host=a;x-a=1;x-a=2;"},
		{"del absent", func(f *Fields) { f.Del(NameVia) }, "host=a;x-a=1;cookie=c1;x-a=2;cookie=c2;"},
		{"del other", func(f *Fields) { f.DelName([]byte("x-a")) }, "host=a;cookie=c1;cookie=c2;"},
		{"del by name", func(f *Fields) { f.DelName([]byte("host")) }, "x-a=1;cookie=c1;x-a=2;cookie=c2;"},
		{"set known", func(f *Fields) { f.Set(NameCookie, []byte("n")) }, "host=a;x-a=1;cookie=n;x-a=2;"},
		{"set absent", func(f *Fields) { f.Set(NameVia, []byte("v")) }, "host=a;x-a=1;cookie=c1;x-a=2;cookie=c2;via=v;"},
		{"set other", func(f *Fields) { f.SetName([]byte("x-a"), []byte("3")) }, "host=a;cookie=c1;cookie=c2;x-a=3;"},
		{"del set", func(f *Fields) { f.DelSet(&set) }, "x-a=1;x-a=2;"},
		{"reset", func(f *Fields) { f.Reset() }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := fieldsOf(base...)
			test.do(f)
			if got := f.dump(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for id := NameOther + 1; id < nameCount; id++ {
				_, found := f.Get(id)
				if found != f.Has(id) {
					t.Errorf("%v: Has says %v, Get says %v", id, f.Has(id), found)
				}
			}
		})
	}
}

func TestFieldsChangeDoesNotAllocate(t *testing.T) {
	f := fieldsOf("host", "a", "x-a", "1", "cookie", "c1", "via", "x")
	set := NewNameSet(NameVia)
	value := []byte("v")
	allocs := testing.AllocsPerRun(100, func() {
		f.Set(NameCookie, value)
		f.DelSet(&set)
		f.Add(NameVia, value)
		f.GetName(value)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
