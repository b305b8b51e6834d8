package route

// DirectBody returns the body of a direct response: as it is configured, or in arena, which it appends to, where command operators
// make it. The body must not be changed.
func (r *Route) DirectBody(ctx *MutationContext, arena *[]byte) []byte {
	switch {
	case r.Config.Direct.Format == "":
		return r.Config.Direct.Body
	case r.body.operators == nil:
		return r.body.literal
	}
	run := mutationRun{ctx: ctx, route: r}
	start := len(*arena)
	for i := range r.body.operators {
		*arena = r.body.operators[i].append(*arena, &run)
	}
	return (*arena)[start:len(*arena):len(*arena)]
}
