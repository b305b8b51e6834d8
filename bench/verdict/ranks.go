package verdict

// signedRanks returns the probabilities of Wilcoxon's statistic for n pairs that do not differ: element t is that of t, the sum of
// the ranks of those which are positive. Each rank is in the sum or not, as a coin falls.
func signedRanks(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	for rank := 1; rank <= n; rank++ {
		for t := rank * (rank + 1) / 2; t >= 0; t-- {
			without := 0.0
			if t <= rank*(rank-1)/2 {
				without = p[t]
			}
			with := 0.0
			if t >= rank {
				with = p[t-rank]
			}
			p[t] = (with + without) / 2
		}
	}
	return p
}

// rankSums returns the probabilities of Mann's and Whitney's statistic for n and m values of one distribution: element u is that
// of u, the pairs in which the first is the larger. The largest of all values is one of the n, which is larger than all m, or one
// of the m, each with its share.
func rankSums(n, m int) []float64 {
	row := make([][]float64, m+1) // of the number of first values so far, by that of second ones
	for j := range row {
		row[j] = []float64{1}
	}
	for i := 1; i <= n; i++ {
		next := [][]float64{{1}}
		for j := 1; j <= m; j++ {
			p := make([]float64, i*j+1)
			first := float64(i) / float64(i+j)
			for u, x := range row[j] {
				p[u+j] += first * x
			}
			for u, x := range next[j-1] {
				p[u] += (1 - first) * x
			}
			next = append(next, p)
		}
		row = next
	}
	return row[m]
}
