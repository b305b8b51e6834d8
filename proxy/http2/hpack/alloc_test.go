package hpack

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// TestAllocNothing demands that nothing allocates once tables and buffers have grown.
func TestAllocNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	arena, dst := make([]byte, 0, 64<<10), make([]byte, 0, 64<<10)
	var d Decoder
	var f Field
	wrong := []byte{indexedBits} // index 0
	value := []byte(strings.Repeat("value ", 30))
	for name, do := range map[string]func(){
		"decode indexed":   decodes(t, arena, func() []byte { b, _, _ := benchBlock(t, benchRequest); return b }(), benchRequest),
		"decode insertion": decodes(t, arena, newOracleEncoder().encode(t, benchFresh(0)), nil),
		"decode huffman":   decodes(t, arena, appendShorter(appendShorter([]byte{withoutBits}, []byte("x-name")), value), nil),
		"decode updates":   decodes(t, arena, []byte{0x20, 0x3f, 0xe1, 0x1f, 0x82}, nil),
		"decode error": func() {
			d.Init(4096)
			if _, _, err := d.Next(wrong, arena, &f); err.Error() == "" {
				t.Fatal("no error")
			}
		},
		"skip": func() func() {
			d, block := newDecoder(4096), newOracleEncoder().encode(t, benchFresh(0))
			return func() {
				if err := skipBlock(t, d, block); err != noError {
					t.Fatal(err)
				}
			}
		}(),
		"encode indexed":  encodes(benchRequest, dst, nil),
		"encode response": encodes(benchResponse, dst, nil),
		"encode fresh":    encodes(benchFresh(0), dst, func(i int, list []message.Field) { list[11].Value[5+i%20] ^= 1 }),
		"encode evictions": encodes(benchFresh(0), dst, func(i int, list []message.Field) {
			for j := 4; j < len(list); j++ {
				list[j].Value[2] = 'a' + byte(i/2%26)
			}
		}),
		"encode updates": func() func() {
			e := newEncoder()
			list, pseudos := benchFields(benchRequest)
			n := uint32(0)
			return func() {
				n++
				e.SetMaxTableSize(n % 2 * 300)
				encodeOnce(e, dst, list, pseudos)
			}
		}(),
	} {
		for range 2000 {
			do() // grows what grows
		}
		if allocs := testing.AllocsPerRun(200, do); allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

// decodes returns a function that decodes the block once more on the same connection.
func decodes(t *testing.T, arena, block []byte, before []pair) func() {
	d := newDecoder(4096)
	o := newOracleEncoder()
	for range 2 {
		decodeBlock(t, d, o.encode(t, before))
	}
	var f Field
	return func() {
		if n := decodeOnce(d, block, arena, &f); n <= 0 {
			t.Fatal(n)
		}
	}
}

// encodes returns a function that encodes the fields, changed, once more on the same connection.
func encodes(fields []pair, dst []byte, change func(i int, list []message.Field)) func() {
	e := newEncoder()
	list, pseudos := benchFields(fields)
	i := 0
	return func() {
		if i++; change != nil {
			change(i, list)
		}
		encodeOnce(e, dst, list, pseudos)
	}
}

// TestAllocLazily demands that a connection that has seen little has taken little.
func TestAllocLazily(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 128 {
		t.Errorf("a decoder takes %d bytes", size)
	}
	if size := unsafe.Sizeof(Encoder{}); size > 160 {
		t.Errorf("an encoder takes %d bytes", size)
	}
	if size := unsafe.Sizeof(entry{}); size != 16 {
		t.Errorf("an entry takes %d bytes", size)
	}
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	block := insertBlock(pairsOf(":authority", "www.example.com", "user-agent", "curl/8.15.0", "accept", "*/*")...)
	arena := make([]byte, 0, 100)
	var d Decoder
	var f Field
	allocs := testing.AllocsPerRun(100, func() {
		d.Init(4096)
		decodeOnce(&d, block, arena, &f)
	})
	if got := cap(d.table.store) + 16*cap(d.table.ring); allocs != 2 || got > 512 {
		t.Errorf("%v allocations of %d bytes", allocs, got)
	}
}
