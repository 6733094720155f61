using Collective.Protocol;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>How a communicator reaches its master and its neighbours.</summary>
public sealed class CommunicatorOptions
{
    /// <summary>Default port of the master.</summary>
    public const int DefaultMasterPort = 48148;

    /// <summary>First port tried for the data listener when <see cref="ListenPort"/> is not set.</summary>
    public const int DefaultListenPort = 48150;

    /// <summary>Options for the master at <paramref name="master"/>: <c>host</c>, <c>host:port</c>, <c>192.0.2.1:48148</c> or <c>[2001:db8::1]:48148</c>.</summary>
    public CommunicatorOptions(string master)
    {
        Master = master;
    }

    /// <summary>Options that a configuration fills, such as <c>IOptions&lt;CommunicatorOptions&gt;</c>; <see cref="Master"/> has to be set.</summary>
    public CommunicatorOptions()
    {
    }

    /// <summary>Address of the master; a name is resolved when connecting and every address it has is tried.</summary>
    public string Master { get; set; } = "";

    /// <summary>Peers of one group run collectives together. Defaults to 0.</summary>
    public uint Group { get; set; }

    /// <summary>Parallel TCP connections to the next peer of the ring; one operation uses all of them. More helps long fat networks and costs two threads each.</summary>
    /// <remarks>Defaults to 4. Range 1 to 64.</remarks>
    public int StripeCount { get; set; } = 4;

    /// <summary>This peer is admitted only together with so many that its group has at least this many peers.</summary>
    /// <remarks>Defaults to 1: any number will do. Range 1 to 1,024.</remarks>
    public int MinimumWorldSize { get; set; } = 1;

    /// <summary>
    /// Whether the group of this peer must have <see cref="MinimumWorldSize"/> peers as long as this peer is one of them: when too few are left, steps and collectives wait for company until
    /// their timeouts, instead of going on with fewer. One member that asks for it is enough.
    /// </summary>
    /// <remarks>
    /// Defaults to <see langword="false"/>. Newcomers are let in when all members wait and there are enough of them. A collective that waited then begins; but in a group that has synchronized shared
    /// state it ends with <see cref="ErrorCode.TooFewPeers"/>, and the step that follows says <see cref="World.HasNewcomers"/> on all peers, because the newcomers need the state first.
    /// </remarks>
    public bool KeepMinimumWorldSize { get; set; }

    /// <summary>What this peer runs, in words of your own: the master refuses a peer whose fingerprint is not that of the admitted members of its group, before it is admitted.</summary>
    /// <remarks>Defaults to "": nothing is said, and nothing compared. At most 100 bytes of UTF-8. <see cref="Communicator.Announce"/> says it later, and in other scopes.</remarks>
    public string Fingerprint { get; set; } = "";

    /// <summary>Longest time to reach the master's port, and later each neighbour's (of that at most 3 s for its host to accept a connection).</summary>
    /// <remarks>Defaults to 10 s. Range 100 ms to 10 min. Waiting to be admitted is not limited by it.</remarks>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>A link on which bytes wait, and on which none moves for so long, is broken and made again. One that is slow but moves is kept.</summary>
    /// <remarks>
    /// Defaults to 10 s: longer than the master's heartbeat timeout, so that a dead or frozen neighbour is found by that. Range 100 ms to 10 min. Linux counts what a connection's other end
    /// acknowledges; everywhere the master compares, with the heartbeats, what one end has sent with what the other has received.
    /// </remarks>
    public TimeSpan LinkStallTimeout { get; set; } = TimeSpan.FromMilliseconds(Limits.LinkStallMsDefault);

    /// <summary>Longest time of a call that is given no timeout of its own; after it the call ends with <see cref="ErrorCode.TimedOut"/>, naming who was waited for.</summary>
    /// <remarks>Defaults to 30 min: other peers may compute for long between two calls. 1 ms or more, or <see cref="Timeout.InfiniteTimeSpan"/> for none.</remarks>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>Most bytes a second that this peer gives to peers that fetch shared state, all of them together, so that a newcomer does not take the link from who trains.</summary>
    /// <remarks>Defaults to 0: no limit. Range 65,536 (64 KiB a second) and up.</remarks>
    public long StateUploadBytesPerSecond { get; set; }

    /// <summary>Port on which this peer accepts data from its neighbour, and from who fetches shared state.</summary>
    /// <remarks>Defaults to <see langword="null"/>: the first free port from 48150 on. 0 lets the system choose one.</remarks>
    public int? ListenPort { get; set; }

    /// <summary>
    /// Where other peers reach this one, when that is not the address from which it connects to the master: <c>host</c>, <c>host:port</c>, <c>192.0.2.1</c> or
    /// <c>[2001:db8::1]:48150</c>. For meshes, port forwarding and tunnels. Without a port it is the one that this peer listens on.
    /// </summary>
    /// <remarks>Defaults to <see langword="null"/>: the environment variable <c>COLLECTIVE_ADVERTISE_ADDRESS</c>; where that is not set, the master tells the others what it sees.</remarks>
    public string? AdvertiseAddress { get; set; }

    /// <summary>Where the library logs. Defaults to nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>Called with the name of each protocol point this peer passes; tests and the demo use it to end a process exactly there.</summary>
    internal Action<string>? Probe { get; init; }

    /// <summary>Addresses of a name; tests give a name several of them.</summary>
    internal Func<string, System.Net.IPAddress[]>? Resolve { get; init; }

    /// <summary>Whether callers block on the tasks they get: then none of them needs a thread of the pool.</summary>
    internal bool CallersBlock { get; init; }

    /// <summary>Bytes a second that this peer sends to another at most while the link is measured; tests make slow pairs of it.</summary>
    internal Func<PeerId, double?>? ProbeLimit { get; init; }

    /// <summary>The options as they are now, for a communicator that does not follow later changes.</summary>
    internal CommunicatorOptions Snapshot() => (CommunicatorOptions)MemberwiseClone();
}
