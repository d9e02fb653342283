package expression

import (
	"fmt"
	"math"
)

// mathFunctions count in whole numbers as long as all arguments are whole, and
// say so when a result does not fit; the ones that end in f always give a
// number with a fraction.
var mathFunctions = []*function{
	{name: "add", least: 1, most: -1, run: fold(addWhole, func(x, y float64) float64 { return x + y })},
	{name: "sub", least: 2, most: -1, run: fold(subtractWhole, func(x, y float64) float64 { return x - y })},
	{name: "mul", least: 1, most: -1, run: fold(multiplyWhole, func(x, y float64) float64 { return x * y })},
	{name: "div", least: 2, most: -1, run: fold(divideWhole, func(x, y float64) float64 { return x / y })},
	{name: "mod", least: 2, most: 2, run: fold(remainderWhole, math.Mod)},
	{name: "max", least: 1, most: -1, run: fold(func(x, y int64) (int64, error) { return max(x, y), nil }, math.Max)},
	{name: "min", least: 1, most: -1, run: fold(func(x, y int64) (int64, error) { return min(x, y), nil }, math.Min)},
	{name: "add1", least: 1, most: 1, run: func(_ *run, a []any) (any, error) {
		n, err := integer(a[0])
		if err != nil {
			return nil, err
		}
		return addWhole(n, 1)
	}},
	{name: "addf", least: 1, most: -1, run: foldFloat(func(x, y float64) float64 { return x + y })},
	{name: "subf", least: 2, most: -1, run: foldFloat(func(x, y float64) float64 { return x - y })},
	{name: "mulf", least: 1, most: -1, run: foldFloat(func(x, y float64) float64 { return x * y })},
	{name: "divf", least: 2, most: -1, run: foldFloat(func(x, y float64) float64 { return x / y })},
	{name: "maxf", least: 1, most: -1, run: foldFloat(math.Max)},
	{name: "minf", least: 1, most: -1, run: foldFloat(math.Min)},
	{name: "add1f", least: 1, most: 1, run: foldFloat(func(x, _ float64) float64 { return x + 1 })},
	{name: "floor", least: 1, most: 1, run: rounding(math.Floor)},
	{name: "ceil", least: 1, most: 1, run: rounding(math.Ceil)},
	{name: "round", least: 1, most: 3, usage: `as in {{ round 3.14159 2 }}`, run: round},
	{name: "int", least: 1, most: 1, run: func(_ *run, a []any) (any, error) { return integer(a[0]) }},
	{name: "int64", least: 1, most: 1, run: func(_ *run, a []any) (any, error) { return integer(a[0]) }},
	{name: "atoi", least: 1, most: 1, run: func(_ *run, a []any) (any, error) { return integer(a[0]) }},
	{name: "float64", least: 1, most: 1, run: func(_ *run, a []any) (any, error) {
		_, f, _, err := number(a[0])
		return f, err
	}},
	{name: "abs", least: 1, most: 1, run: func(_ *run, a []any) (any, error) {
		n, f, whole, err := number(a[0])
		if err != nil || !whole || n == math.MinInt64 {
			return math.Abs(f), err
		}
		return max(n, -n), nil
	}},
}

var errOverflow = fmt.Errorf("the result does not fit into 64 bits; use the variant that ends in f")

func addWhole(x, y int64) (int64, error) {
	z := x + y
	if (z > x) != (y > 0) && y != 0 {
		return 0, errOverflow
	}
	return z, nil
}

func subtractWhole(x, y int64) (int64, error) {
	z := x - y
	if (z < x) != (y > 0) && y != 0 {
		return 0, errOverflow
	}
	return z, nil
}

func multiplyWhole(x, y int64) (int64, error) {
	if x == 0 || y == 0 {
		return 0, nil
	}
	z := x * y
	if z/y != x || x == -1 && y == math.MinInt64 || y == -1 && x == math.MinInt64 {
		return 0, errOverflow
	}
	return z, nil
}

func divideWhole(x, y int64) (int64, error) {
	if y == 0 {
		return 0, fmt.Errorf("division by zero")
	}
	if x == math.MinInt64 && y == -1 {
		return 0, errOverflow
	}
	return x / y, nil
}

func remainderWhole(x, y int64) (int64, error) {
	if y == 0 {
		return 0, fmt.Errorf("division by zero")
	}
	if y == -1 {
		return 0, nil
	}
	return x % y, nil
}

// fold goes through numbers from left to right: whole ones as long as they all
// are.
func fold(whole func(x, y int64) (int64, error), fraction func(x, y float64) float64) func(*run, []any) (any, error) {
	return func(r *run, a []any) (any, error) {
		n, f, isWhole, err := number(a[0])
		if err != nil {
			return nil, err
		}
		for _, v := range a[1:] {
			m, g, alsoWhole, err := number(v)
			if err != nil {
				return nil, err
			}
			if isWhole = isWhole && alsoWhole; isWhole {
				if n, err = whole(n, m); err != nil {
					return nil, err
				}
				f = float64(n)
				continue
			}
			f = fraction(f, g)
		}
		if isWhole {
			return n, nil
		}
		return finite(f)
	}
}

func foldFloat(step func(x, y float64) float64) func(*run, []any) (any, error) {
	return func(_ *run, a []any) (any, error) {
		_, f, _, err := number(a[0])
		if err != nil {
			return nil, err
		}
		if len(a) == 1 {
			return finite(step(f, f))
		}
		for _, v := range a[1:] {
			_, g, _, err := number(v)
			if err != nil {
				return nil, err
			}
			f = step(f, g)
		}
		return finite(f)
	}
}

func rounding(by func(float64) float64) func(*run, []any) (any, error) {
	return func(_ *run, a []any) (any, error) {
		_, f, _, err := number(a[0])
		if err != nil {
			return nil, err
		}
		return finite(by(f))
	}
}

// round takes the number and how many decimals to keep.
func round(_ *run, a []any) (any, error) {
	_, f, _, err := number(a[0])
	if err != nil {
		return nil, err
	}
	decimals := 0
	if len(a) > 1 {
		if decimals, err = bounded(a[1], "the number of decimals", 0, maxDecimals); err != nil {
			return nil, err
		}
	}
	scale := math.Pow10(decimals)
	return finite(math.Round(f*scale) / scale)
}
