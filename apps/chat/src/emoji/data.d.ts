/** Where the emoji picker finds its data, as the build says. */
declare const __EMOJI_DATA__: string
