package peers_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Each engine holds what a device does: thirty keys, of which every other one was
// granted until a time, for collecting and for use on the device.
const keys = 30

const (
	asked = "p2/use"
	now   = 1_800_000_000_000
	until = now + 60_000
)

func key(i int) string { return fmt.Sprintf("p%d/use", i) }

func granted(i int) bool { return i%2 == 0 }

const policy = `package consent

default verdict := "deny"

verdict := "allow" if {
	c := data.consents[input.key]
	c.granted
	input.now < c.until
	input.use in c.uses
}
`

func openPolicyAgent(tb testing.TB) func(key, use string, now int64) bool {
	tb.Helper()
	consents := map[string]any{}
	for i := range keys {
		consents[key(i)] = map[string]any{"granted": granted(i), "until": until, "uses": []any{"collect", "local"}}
	}
	query, err := rego.New(rego.Query("data.consent.verdict"), rego.Module("consent.rego", policy),
		rego.Store(inmem.NewFromObject(map[string]any{"consents": consents}))).PrepareForEval(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return func(key, use string, now int64) bool {
		results, err := query.Eval(context.Background(), rego.EvalInput(map[string]any{"key": key, "use": use, "now": now}))
		return err == nil && len(results) == 1 && results[0].Expressions[0].Value == "allow"
	}
}

const cedarPolicy = `permit (principal, action in [Action::"collect", Action::"local"], resource)
when { resource.granted && context.now < resource.until };`

func cedarPolicies(tb testing.TB) func(key, use string, now int64) bool {
	tb.Helper()
	policies, err := cedar.NewPolicySetFromBytes("consent.cedar", []byte(cedarPolicy))
	if err != nil {
		tb.Fatal(err)
	}
	entities := cedar.EntityMap{}
	for i := range keys {
		id := cedar.NewEntityUID("Key", cedar.String(key(i)))
		entities[id] = cedar.Entity{UID: id, Attributes: cedar.NewRecord(cedar.RecordMap{
			"granted": cedar.Boolean(granted(i)), "until": cedar.Long(until),
		})}
	}
	return func(key, use string, now int64) bool {
		decision, _ := cedar.Authorize(policies, entities, cedar.Request{
			Principal: cedar.NewEntityUID("Program", "player"), Action: cedar.NewEntityUID("Action", cedar.String(use)),
			Resource: cedar.NewEntityUID("Key", cedar.String(key)), Context: cedar.NewRecord(cedar.RecordMap{"now": cedar.Long(now)}),
		})
		return decision == cedar.Allow
	}
}

var engines = map[string]func(testing.TB) func(key, use string, now int64) bool{
	"OPA": openPolicyAgent, "Cedar": cedarPolicies,
}

// An engine that were asked something else would prove nothing.
func TestEnginesAnswer(t *testing.T) {
	for name, engine := range engines {
		may := engine(t)
		for what, c := range map[string]struct {
			key, use string
			now      int64
			want     bool
		}{
			"granted":         {asked, "collect", now, true},
			"over":            {asked, "collect", until, false},
			"another use":     {asked, "egress", now, false},
			"refused":         {key(1), "collect", now, false},
			"of nobody knows": {"other/use", "collect", now, false},
		} {
			if got := may(c.key, c.use, c.now); got != c.want {
				t.Errorf("%s, %s: %v", name, what, got)
			}
		}
	}
}

func benchmark(b *testing.B, name string) {
	may := engines[name](b)
	b.ReportAllocs()
	for b.Loop() {
		if !may(asked, "collect", now) {
			b.Fatal("denied")
		}
	}
}

func BenchmarkOPA(b *testing.B)   { benchmark(b, "OPA") }
func BenchmarkCedar(b *testing.B) { benchmark(b, "Cedar") }
