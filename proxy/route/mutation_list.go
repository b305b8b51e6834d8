package route

import (
	"fmt"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// MutationList are mutations that are made one after the other, beside those of a route. The zero value makes none.
type MutationList struct{ request, response []*mutations }

// CompileMutationList compiles steps.
func CompileMutationList(steps []config.HeaderMutations) (list MutationList, err error) {
	for i := range steps {
		request, response, err := compileMutations(&steps[i])
		if err != nil {
			return list, fmt.Errorf("[%d]: %w", i, err)
		}
		if request != nil {
			list.request = append(list.request, request)
		}
		if response != nil {
			list.response = append(list.response, response)
		}
	}
	return list, nil
}

// MutateRequest changes the fields of ctx.Request as Route.MutateRequest does. r and target are where the request goes, nil where
// that is not known.
func (l *MutationList) MutateRequest(ctx *MutationContext, r *Route, target *Target, arena *[]byte) {
	if len(l.request) > 0 {
		run := mutationRun{ctx: ctx, route: r, target: target, arena: arena, request: ctx.Request, fields: &ctx.Request.Fields}
		run.all(l.request)
	}
}

// MutateResponse is MutateRequest for the fields of ctx.Response.
func (l *MutationList) MutateResponse(ctx *MutationContext, r *Route, target *Target, arena *[]byte) {
	if len(l.response) > 0 {
		run := mutationRun{ctx: ctx, route: r, target: target, arena: arena, fields: &ctx.Response.Fields}
		run.all(l.response)
	}
}
