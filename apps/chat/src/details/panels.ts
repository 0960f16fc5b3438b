/** Groups, details and pictures in one chunk: several chunks with shared parts would split the page's main one. */
export { NewGroup } from "../groups/NewGroup"
export { AccountPicture } from "../pictures/AccountPicture"
export { Details } from "./Details"
