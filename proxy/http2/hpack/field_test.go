package hpack

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

func TestPseudoNames(t *testing.T) {
	for p := PseudoAuthority; p < PseudoUnknown; p++ {
		id, pseudo, malformed := classify(pseudoNames[p])
		if id != message.NameOther || pseudo != p || malformed != 0 {
			t.Errorf("%s: %d, %d, %b", pseudoNames[p], id, pseudo, malformed)
		}
		if i := staticByPseudo[p]; i != 0 && (staticFields[i].Pseudo != p || staticFields[i-1].Pseudo == p) {
			t.Errorf("%s: static entry %d is not its first", pseudoNames[p], i)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, test := range []struct {
		name, value string
		pseudo      Pseudo
		want        Malformed
	}{
		{"x-a", "", 0, 0},
		{"x_a.b~c", "a b\tc\x80\xff", 0, 0},
		{"", "v", 0, NameEmpty},
		{"X-A", "v", 0, NameUppercase},
		{"Host", "v", 0, NameUppercase},
		{"x a", "v", 0, NameCharacter},
		{"x:a", "v", 0, NameCharacter},
		{"x\x00", "v", 0, NameCharacter},
		{"x\x80", "v", 0, NameCharacter},
		{"X a", "v", 0, NameUppercase | NameCharacter},
		{":path", "/", PseudoPath, 0},
		{":protocol", "websocket", PseudoProtocol, 0},
		{":", "v", PseudoUnknown, 0},
		{":paths", "v", PseudoUnknown, 0},
		{":Path", "v", PseudoUnknown, NameUppercase},
		{"::path", "v", PseudoUnknown, NameCharacter},
		{"x", " v", 0, ValueSpace},
		{"x", "v\t", 0, ValueSpace},
		{"x", " ", 0, ValueSpace},
		{"x", "a long value with a space at its end ", 0, ValueSpace},
		{"x", "v\rw", 0, ValueCharacter},
		{"x", "\x00", 0, ValueCharacter},
		{"x", "12345678\x7f0123", 0, ValueCharacter},
		{"x", "\n2345678 ", 0, ValueCharacter | ValueSpace},
		{"cookie", "a\nb", 0, ValueCharacter},
	} {
		name, value := []byte(test.name), []byte(test.value)
		block := appendPlain(appendPlain([]byte{incrementalBits}, name), value)
		block = append(block, indexedBits|staticCount+1) // the same from the table
		block = appendPlain(append(block, incrementalBits|staticCount+1), []byte("fine"))
		d := newDecoder(4096)
		var f Field
		for i := range 3 {
			want := test.want
			if i == 2 {
				want &= malformedName
			}
			n, _, err := d.Next(block, nil, &f)
			if err != noError || f.Malformed != want || f.Pseudo != test.pseudo || string(f.Name) != test.name {
				t.Errorf("%q: %q: %q %b %d %v, want %b %d", test.name, test.value, f.Name, f.Malformed, f.Pseudo, err, want, test.pseudo)
			}
			checkField(t, &f)
			block = block[n:]
		}
	}
}
