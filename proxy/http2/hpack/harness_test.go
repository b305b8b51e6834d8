package hpack

import (
	"bytes"
	"fmt"
	"testing"

	oracle "golang.org/x/net/http2/hpack"

	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// pair is a field as text.
type pair struct {
	name, value string
	never       bool
}

func (p pair) String() string {
	if p.never {
		return fmt.Sprintf("%q: %q (never indexed)", p.name, p.value)
	}
	return fmt.Sprintf("%q: %q", p.name, p.value)
}

// pairsOf makes fields of names and values that alternate.
func pairsOf(texts ...string) (list []pair) {
	for i := 0; i < len(texts); i += 2 {
		list = append(list, pair{name: texts[i], value: texts[i+1]})
	}
	return list
}

// fieldOf makes a field as the exchange has it.
func fieldOf(name, value string) message.Field {
	return message.Field{Name: []byte(name), Value: []byte(value), ID: message.LookupName([]byte(name))}
}

func samePairs(a, b []pair) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// newDecoder returns a decoder with a table of the given size.
func newDecoder(size uint32) *Decoder {
	d := &Decoder{}
	d.Init(size)
	d.setTableSize(d.allowed)
	return d
}

func newEncoder() *Encoder {
	e := &Encoder{}
	e.Init()
	return e
}

// decodeBlock decodes a whole block and checks what must be true of every field and of the table after each. The fields are
// read when the block is done, so bytes that were overwritten show.
func decodeBlock(t testing.TB, d *Decoder, block []byte) ([]pair, Error) {
	t.Helper()
	var fields []Field
	var arena []byte
	given := bytes.Clone(block)
	d.Begin()
	rest := block
	for {
		var f Field
		n, longer, err := d.Next(rest, arena, &f)
		if err != noError || n == 0 {
			checkTable(t, &d.table)
			return textOf(t, fields), err
		}
		arena = longer
		fields = append(fields, f)
		rest = rest[n:]
		checkField(t, &f)
		checkTable(t, &d.table)
		if !bytes.Equal(given, block) {
			t.Fatal("the block was changed")
		}
	}
}

func textOf(t testing.TB, fields []Field) (list []pair) {
	t.Helper()
	for i := range fields {
		checkField(t, &fields[i])
		list = append(list, pair{string(fields[i].Name), string(fields[i].Value), fields[i].NeverIndexed})
	}
	return list
}

// checkField compares what is said of a field with what its bytes say.
func checkField(t testing.TB, f *Field) {
	t.Helper()
	if f.Malformed&TooLong != 0 {
		if f.Malformed != TooLong || f.Name != nil || f.Value != nil || f.Size <= MaxString*8/30 {
			t.Fatalf("too long: %+v", f)
		}
		return
	}
	id, pseudo, malformed := classify(f.Name)
	malformed |= checkValue(f.Value)
	if f.ID != id || f.Pseudo != pseudo || f.Malformed != malformed || int(f.Size) != len(f.Name)+len(f.Value)+32 {
		t.Fatalf("%q: %q: id %d, pseudo %d, malformed %b, size %d; want %d, %d, %b", f.Name, f.Value, f.ID, f.Pseudo,
			f.Malformed, f.Size, id, pseudo, malformed)
	}
	if cap(f.Value) != len(f.Value) || id == message.NameOther && cap(f.Name) != len(f.Name) {
		t.Fatalf("%q: %q: not capped", f.Name, f.Value)
	}
}

// checkTable checks what must always be true of a table.
func checkTable(t testing.TB, table *table) {
	t.Helper()
	var size, stored uint32
	end := table.base + uint32(len(table.store))
	for age := range table.count {
		e := table.at(age)
		size += e.size()
		stored += uint32(len(table.stored(e)))
		if e.offset+uint32(len(table.stored(e))) != end {
			t.Fatalf("the bytes of entry %d do not end where those of the one after begin", age)
		}
		end = e.offset
	}
	if size != table.size || size > table.max || table.at(table.count) != nil {
		t.Fatalf("size %d, want %d, at most %d", table.size, size, table.max)
	}
}

// oracleDecoder is x/net's decoder.
type oracleDecoder struct {
	*oracle.Decoder
	fields []pair
}

func newOracleDecoder(size uint32) *oracleDecoder {
	o := &oracleDecoder{}
	o.Decoder = oracle.NewDecoder(size, func(f oracle.HeaderField) {
		o.fields = append(o.fields, pair{f.Name, f.Value, f.Sensitive})
	})
	return o
}

func (o *oracleDecoder) decode(block []byte) ([]pair, error) {
	o.fields = nil
	if _, err := o.Write(block); err != nil {
		return o.fields, err
	}
	return o.fields, o.Close()
}

// oracleEncoder is x/net's encoder.
type oracleEncoder struct {
	*oracle.Encoder
	buf bytes.Buffer
}

func newOracleEncoder() *oracleEncoder {
	o := &oracleEncoder{}
	o.Encoder = oracle.NewEncoder(&o.buf)
	return o
}

func (o *oracleEncoder) encode(t testing.TB, fields []pair) []byte {
	t.Helper()
	o.buf.Reset()
	for _, f := range fields {
		if err := o.WriteField(oracle.HeaderField{Name: f.name, Value: f.value, Sensitive: f.never}); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Clone(o.buf.Bytes())
}

// encodeBlock encodes fields the way a connection does: pseudo-header fields and status by their own methods.
func encodeBlock(t testing.TB, e *Encoder, fields []pair) []byte {
	t.Helper()
	block := e.Begin(nil)
	for _, f := range fields {
		block = encodePair(e, block, f)
	}
	checkTable(t, &e.table)
	checkIndex(t, e)
	return block
}

func encodePair(e *Encoder, block []byte, f pair) []byte {
	name, value := []byte(f.name), []byte(f.value)
	if len(name) > 0 && name[0] == ':' {
		switch p := lookupPseudo(name); {
		case p == PseudoStatus && !f.never && len(value) == 3 && isDigits(value) && value[0] != '0':
			return e.AppendStatus(block, int(value[0]-'0')*100+int(value[1]-'0')*10+int(value[2]-'0'))
		case p != PseudoUnknown && !f.never:
			return e.AppendPseudo(block, p, value)
		}
	}
	field := fieldOf(f.name, f.value)
	field.NeverIndexed = f.never
	return e.AppendField(block, &field)
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// checkIndex checks that the index of an encoder finds each live entry and has no other.
func checkIndex(t testing.TB, e *Encoder) {
	t.Helper()
	if e.index == nil {
		return
	}
	slots := uint32(0)
	for _, slot := range e.index {
		if slot != 0 {
			slots++
		}
	}
	if slots != e.table.count {
		t.Fatalf("%d slots are taken by %d entries", slots, e.table.count)
	}
	for age := range e.table.count {
		entry := e.table.at(age)
		stored, n := e.table.stored(entry), entry.storedName()
		f := message.Field{Name: stored[:n], Value: stored[n:], ID: entry.id}
		if n == 0 {
			f.Name = entry.knownName()
		}
		if got := e.find(&f, entry.pseudo, entry.hash); got != uint(age)+staticCount+1 {
			t.Fatalf("%q: %q is found at %d, want %d", f.Name, f.Value, got, age+staticCount+1)
		}
	}
}

// wantBlock decodes a block and compares the fields.
func wantBlock(t testing.TB, d *Decoder, block []byte, want []pair) {
	t.Helper()
	got, err := decodeBlock(t, d, block)
	if err != noError || !samePairs(got, want) {
		t.Fatalf("%.200x: %v\n got %.1000v\nwant %.1000v", block, err, fmt.Sprint(got), fmt.Sprint(want))
	}
}
