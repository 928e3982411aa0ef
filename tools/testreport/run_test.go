package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const passing = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"-test.shuffle 7\n"}
{"Action":"output","Package":"p","Test":"TestFast","Output":"=== RUN   TestFast\n"}
{"Action":"output","Package":"p","Test":"TestFast","Output":"    a line of no interest\n"}
{"Action":"pass","Package":"p","Test":"TestFast","Elapsed":0.01}
{"Action":"pass","Package":"p","Test":"TestSlow","Elapsed":2.5}
{"Action":"output","Package":"p","Test":"TestPeer","Output":"    p_test.go:3: no swaks here\n"}
{"Action":"skip","Package":"p","Test":"TestPeer","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t2.6s\n"}
{"Action":"pass","Package":"p","Elapsed":2.6}
`
	const failing = `{"Action":"output","Package":"q","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"output","Package":"q","Test":"TestBad","Output":"    got 550, want 250\n"}
{"Action":"fail","Package":"q","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"q","Output":"FAIL\tq\t0.1s\n"}
{"Action":"fail","Package":"q","Elapsed":0.1}
`
	tests := []struct {
		name, in string
		ok       bool
		want     []string
		unwanted string
	}{
		{
			name: "passing run", in: passing, ok: true, unwanted: "no interest",
			want: []string{"ok  \tp\t2.6s\n", "p TestPeer: p_test.go:3: no swaks here\n", "   2.50s  p TestSlow\n", "3 tests in 1 packages, 1 skipped\nPASS\n"},
		},
		{
			name: "failing test is shown and named last", in: passing + failing,
			want: []string{"got 550, want 250\n", "FAIL\tq\t0.1s\n", "\nFAIL\tq\n"},
		},
		{
			name: "build failure", in: `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","Elapsed":0}
`,
			want: []string{"undefined: x\n", "FAIL\tq [build failed]\n"},
		},
		{
			name: "killed in the middle", in: `{"Action":"output","Package":"q","Test":"TestBad","Output":"x\n"}` + "\n",
			want: []string{"FAIL\tq (cut off)\n"},
		},
		{name: "text between events", in: "go: no module\n" + passing, ok: true, want: []string{"go: no module\n"}},
		{name: "nothing", in: "", want: []string{"FAIL\tno test has run\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := report(strings.NewReader(test.in), &out, 2)
			if err != nil {
				t.Fatal(err)
			}
			if ok != test.ok {
				t.Errorf("report says passed = %v, want %v", ok, test.ok)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("missing %q in:\n%s", want, out.String())
				}
			}
			if test.unwanted != "" && strings.Contains(out.String(), test.unwanted) {
				t.Errorf("%q should not appear in:\n%s", test.unwanted, out.String())
			}
		})
	}
}
