/** Everything about groups and details in one script: several that share parts would cut the page's own in pieces. */
export { NewGroup } from "../groups/NewGroup"
export { Details } from "./Details"
