/** Everything about groups, details and pictures in one script: several that share parts would cut the page's own in pieces. */
export { NewGroup } from "../groups/NewGroup"
export { AccountPicture } from "../pictures/AccountPicture"
export { Details } from "./Details"
