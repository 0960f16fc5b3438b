import { BellOff, EllipsisVertical, Search } from "lucide-react"
import { PresenceIcon, type PresenceIconState, PresenceLabel } from "../../presence/PresenceIcon"
import { Avatar } from "../../ui/Avatar"
import { Button, IconButton } from "../../ui/Button"
import { ConversationAvatar } from "../../ui/ConversationAvatar"
import { asha, ben, chloe, conversation, nadia } from "./data"
import { Case, Story } from "./Story"

const states: PresenceIconState[] = ["online", "away", "busy", "offline", "invisible", "unknown"]

export function Avatars() {
  const group = conversation({ kind: "group", other: null, members: [asha, ben, chloe] })
  return (
    <Story name="avatars">
      <div className="story-cases">
        {(["sm", "md", "lg", "xl"] as const).map((size) => (
          <Case key={size} name={size}>
            <Avatar id="ben" name={ben.name} size={size} />
          </Case>
        ))}
        {states.map((state) => (
          <Case key={state} name={state}>
            <Avatar id={state} name={chloe.name} presence={state} size="lg" />
          </Case>
        ))}
        <Case name="right to left">
          <Avatar id="nadia" name={nadia.name} />
        </Case>
        <Case name="a group">
          <ConversationAvatar item={group} selfId="asha" size="lg" />
        </Case>
      </div>
    </Story>
  )
}

export function Presence() {
  return (
    <Story name="presence">
      <div className="story-cases">
        {states.map((state) => (
          <Case key={state} name={state}>
            <PresenceIcon state={state} size={28} />
          </Case>
        ))}
        {states.map((state) => (
          <Case key={state} name={`${state}, with its word`}>
            <PresenceLabel state={state} />
          </Case>
        ))}
      </div>
    </Story>
  )
}

export function Buttons() {
  return (
    <Story name="buttons">
      <div className="story-cases">
        {(["primary", "line", "quiet", "text"] as const).map((look) => (
          <Case key={look} name={look}>
            <Button look={look}>Send</Button>
          </Case>
        ))}
        <Case name="primary, disabled">
          <Button look="primary" disabled>
            Send
          </Button>
        </Case>
        <Case name="line, disabled">
          <Button look="line" disabled>
            Send
          </Button>
        </Case>
        <Case name="icon">
          <IconButton label="Search">
            <Search size={20} aria-hidden="true" />
          </IconButton>
        </Case>
        <Case name="icon, open">
          <IconButton label="Settings" aria-expanded>
            <EllipsisVertical size={20} aria-hidden="true" />
          </IconButton>
        </Case>
        {[1, 27, 1_000].map((count) => (
          <Case key={count} name={`badge, ${count}`}>
            <span className="unread-badge">{count > 999 ? "999+" : count}</span>
          </Case>
        ))}
        <Case name="muted">
          <BellOff size={15} aria-hidden="true" />
        </Case>
      </div>
    </Story>
  )
}

export function Fields() {
  return (
    <Story name="fields">
      <div className="story-cases">
        <Case name="empty">
          <input className="field" aria-label="Empty" placeholder="Your name" />
        </Case>
        <Case name="filled">
          <input className="field" aria-label="Filled" defaultValue="Asha" />
        </Case>
        <Case name="wrong">
          <input className="field" aria-label="Wrong" aria-invalid="true" defaultValue="a b" />
          <p className="sign-in-error">Letters, digits, dots and dashes only.</p>
        </Case>
        <Case name="switch, on">
          <input type="checkbox" className="switch" aria-label="On" defaultChecked />
        </Case>
        <Case name="switch, off">
          <input type="checkbox" className="switch" aria-label="Off" />
        </Case>
        <Case name="choices">
          <div className="theme-choices">
            {["System", "Light", "Dark"].map((label, at) => (
              <button key={label} type="button" className="theme-choice px-3" aria-pressed={at === 1}>
                {label}
              </button>
            ))}
          </div>
        </Case>
        <Case name="a problem">
          <p className="sign-in-problem">The user name or the password is wrong.</p>
        </Case>
      </div>
    </Story>
  )
}
