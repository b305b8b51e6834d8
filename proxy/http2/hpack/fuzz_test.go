package hpack

import (
	"math/rand/v2"
	"strings"
	"testing"

	oracle "golang.org/x/net/http2/hpack"
)

// maxFuzzInput keeps an input quick.
const maxFuzzInput = 4 << 10

func fuzzRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// FuzzDecode gives up to four blocks of one connection to our decoder and to x/net's. Both must find the same fields, or refuse
// the same block, except for the differences that excused lists. A third decoder skips every other field and must stay in step.
func FuzzDecode(f *testing.F) {
	for _, c := range rfcConversations {
		var input []byte
		for _, b := range c.blocks {
			input = append(input, unhex(f, b.block)...)
		}
		f.Add(input, uint16(len(input)/2), uint16(c.tableSize))
	}
	for _, c := range conversations {
		e := newOracleEncoder()
		first := e.encode(f, c.message(0, fuzzRand(1)))
		f.Add(append(first, e.encode(f, c.message(1, fuzzRand(2)))...), uint16(len(first)), uint16(4096))
	}
	f.Add([]byte("\x20\x3f\xe1\x1f\x82\x20"), uint16(4), uint16(100))
	f.Fuzz(func(t *testing.T, input []byte, cut, tableSize uint16) {
		if len(input) > maxFuzzInput {
			return
		}
		d, skipping, o := newDecoder(uint32(tableSize)), newDecoder(uint32(tableSize)), newOracleDecoder(uint32(tableSize))
		for len(input) > 0 {
			n := min(len(input), 1+int(cut))
			block := input[:n]
			input = input[n:]
			got, err := decodeBlock(t, d, block)
			checkSkipping(t, skipping, d, block, err)
			want, oracleErr := o.decode(block)
			if excused(t, o, block, err, oracleErr) {
				return
			}
			if (err == noError) != (oracleErr == nil) || err == noError && !samePairs(got, want) {
				t.Fatalf("%x:\n%v %v\nx/net %v %v", block, got, err, want, oracleErr)
			}
			if err != noError {
				return
			}
		}
	})
}

// excused reports whether a block is one that only one of the two accepts, on purpose.
func excused(t *testing.T, o *oracleDecoder, block []byte, err Error, oracleErr error) bool {
	t.Helper()
	switch {
	case err == ErrInteger:
		// We are stricter: x/net reads integers of up to 9 octets after the prefix.
		return true
	case err == ErrSizeUpdateCount:
		// We are stricter: x/net takes any number of size updates, as long as the table is empty.
		return true
	case err == ErrSizeUpdatePlace && oracleErr == nil:
		// We are stricter: x/net takes a size update after a field when the table is empty.
		return true
	case oracleErr != nil && strings.Contains(oracleErr.Error(), "MUST occur at the beginning"):
		// We are looser, and it is the RFC that allows it: x/net takes a second size update only when the table is empty. When
		// it found a field before, we must have refused the block too.
		if len(o.fields) > 0 && err == noError {
			t.Fatalf("%x: accepted, with a size update after a field", block)
		}
		return true
	}
	return false
}

// checkSkipping skips every other field and compares the tables of the two decoders.
func checkSkipping(t *testing.T, skipping, d *Decoder, block []byte, want Error) {
	t.Helper()
	skipping.Begin()
	for i := 0; ; i++ {
		var n int
		var err Error
		if i%2 == 0 {
			n, _, err = skipping.Skip(block)
		} else {
			n, _, err = skipping.Next(block, nil, &Field{})
		}
		checkTable(t, &skipping.table)
		if err != want && (n == 0 || err != noError) {
			t.Fatalf("skipping: %v, want %v", err, want)
		}
		if err != noError {
			return
		}
		if n == 0 {
			break
		}
		block = block[n:]
	}
	if got, want := strings.Join(skipping.table.describe(), "\n"), strings.Join(d.table.describe(), "\n"); got != want {
		t.Fatalf("skipping leaves the table %q, want %q", got, want)
	}
}

// FuzzRoundTrip encodes messages of one connection, with changes of the table's size between them, and decodes them with our
// decoder and with x/net's. The input is a program: each byte says what comes next.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\xff\x00\x01\x02\x03\xff\x00\x01\x02\x03\xf0\x80\x00\x01\x02\xf0\x00\xf0\xff\xff"), ":path=/a\nx-a=1\ncookie=c\nx-b=")
	f.Add([]byte(strings.Repeat("\x00\x01\x02\x03\x04\x05\xff", 6)), "authorization=x\ncookie=0123456789012345678901234567\n:authority=a\nvia=x y\nx-\xff=\x00\nX=1")
	for i, c := range conversations {
		var text strings.Builder
		for _, p := range c.message(i, fuzzRand(3)) {
			text.WriteString(p.name + "=" + p.value + "\n")
		}
		f.Add([]byte(strings.Repeat("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\x44\x45\xf1\x01", 5)), text.String())
	}
	f.Fuzz(func(t *testing.T, program []byte, text string) {
		if len(text) > maxFuzzInput || len(program) > 200 {
			return
		}
		fields := fuzzFields(text)
		e, d, o := newEncoder(), newDecoder(4096), newOracleDecoder(4096)
		var message []pair
		for _, op := range program {
			switch {
			case op == 0xff:
				checkRoundTrip(t, e, d, o, message)
				message = nil
			case op >= 0xf0:
				if len(message) == 0 { // between two messages
					e.SetMaxTableSize(uint32(op-0xf0) * 300)
				}
			default:
				f := fields[int(op&0x3f)%len(fields)]
				f.never = op&0x80 != 0
				if op&0x40 != 0 && f.name[:1] != ":" {
					f.value += string([]byte{op, byte(len(message))})
				}
				message = append(message, f)
			}
		}
		checkRoundTrip(t, e, d, o, message)
	})
}

// fuzzFields makes fields of lines. Names are not empty, as the encoder need not encode such.
func fuzzFields(text string) (fields []pair) {
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if name == "" {
			name = "x"
		}
		fields = append(fields, pair{name: name, value: value})
	}
	return fields
}

func checkRoundTrip(t *testing.T, e *Encoder, d *Decoder, o *oracleDecoder, message []pair) {
	t.Helper()
	block := encodeBlock(t, e, message)
	want := withSecrets(message)
	wantBlock(t, d, block, want)
	if got, err := o.decode(block); err != nil || !samePairs(got, want) {
		t.Fatalf("%x: x/net: %v\n got %v\nwant %v", block, err, got, want)
	}
	if got, want := strings.Join(d.table.describe(), "\n"), strings.Join(e.table.describe(), "\n"); got != want {
		t.Fatalf("the decoder's table is %q, the encoder's %q", got, want)
	}
}

// FuzzHuffman takes its input for text and for code.
func FuzzHuffman(f *testing.F) {
	for _, text := range benchTexts {
		f.Add([]byte(text))
		f.Add(appendHuffman(nil, []byte(text)))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > maxFuzzInput {
			return
		}
		checkHuffman(t, string(input))
		want, oracleErr := oracle.HuffmanDecodeToString(input)
		got, err := decodeHuffman(nil, input)
		n, lenErr := huffmanLen(input)
		if (err == noError) != (oracleErr == nil) || err == noError && (string(got) != want || n != len(got)) || err != lenErr {
			t.Fatalf("%x: %q, %v, length %d, %v; x/net %q, %v", input, got, err, n, lenErr, want, oracleErr)
		}
		if coded := appendHuffman(nil, got); err == noError && string(coded) != string(input) {
			t.Fatalf("%x is %q, which is %x", input, got, coded)
		}
	})
}
