declare const unit: unique symbol

/**
 * An integer amount of one unit. Amounts of two units are neither assignable nor comparable by `===`, and a plain
 * `bigint` is neither of them.
 */
export type Amount<Unit extends string> = bigint & { readonly [unit]: Unit }
