package stats

// The statistics of CORS.
const (
	CORSOriginInvalid = iota
	CORSOriginValid
)

// CORS is the schema of "http.<stat_prefix>.cors.".
var CORS = NewSchema([]Def{
	CORSOriginInvalid: {Name: "origin_invalid"},
	CORSOriginValid:   {Name: "origin_valid"},
}...)
