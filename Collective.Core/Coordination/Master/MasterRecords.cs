using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>A control connection and the peer behind it.</summary>
internal sealed class PeerRecord(ConnectionId connection, PeerAddress remote, PeerAddress local, PeerId id, long nowMs)
{
    public ConnectionId Connection { get; } = connection;

    public PeerAddress Remote { get; } = remote;

    /// <summary>The master's own address, as this peer reaches it.</summary>
    public PeerAddress Local { get; } = local;

    public PeerId Id { get; } = id;

    public MasterPeerState State { get; set; }

    public PeerGroup Group { get; set; }

    public PeerAddress Address { get; set; }

    public PeerAddress? Alternative { get; set; }

    /// <summary>Whether it came over loopback: others then reach it where they reach the master.</summary>
    public bool IsOnMastersHost { get; set; }

    /// <summary>Another peer that would be reached at the same address, and since when this one waits for that one to be gone.</summary>
    public PeerRecord? Rival { get; set; }

    public long RivalMs { get; set; }

    public long LastHeardMs { get; set; } = nowMs;

    /// <summary>How much of the time since then the master itself stood still.</summary>
    public long ForgivenMs { get; set; }

    /// <summary>Position in the ring of the group's epoch.</summary>
    public int Rank { get; set; }

    /// <summary>Epoch this peer has acknowledged last.</summary>
    public Epoch Acknowledged { get; set; }

    /// <summary>What it last said has moved on its links, and when that was heard.</summary>
    public LinkProgress? Progress { get; set; }

    public long ProgressMs { get; set; }

    /// <summary>Since when it has reported that nothing comes of what its previous peer says it has sent.</summary>
    public long? StuckSinceMs { get; set; }

    /// <summary>Outstanding vote (to update or optimise the topology, to sync) or question of a lone peer.</summary>
    public RequestNumber Request { get; set; }

    /// <summary>It stays pending until its group would have this many members.</summary>
    public int MinimumWorldSize { get; set; }

    /// <summary>Whether that holds as long as it is a member, too.</summary>
    public bool KeepsMinimum { get; set; }

    /// <summary>What it has said about its program, by scope.</summary>
    public Dictionary<string, string> Fingerprints { get; } = [];

    /// <summary>When it made its last call, and when it is told for whom it waits if it still does.</summary>
    public long CalledMs { get; set; }

    public long NoticeAtMs { get; set; } = long.MaxValue;

    public RequestNumber? Query { get; set; }

    public int OpenAttempts { get; set; }

    /// <summary>Tensors of these, whether it has entered with them yet or not.</summary>
    public int OpenTensors { get; set; }

    /// <summary>Bytes a second that this peer can send to others, as measured, for the life of both.</summary>
    public Dictionary<PeerId, double> Rates { get; } = [];

    /// <summary>Whether it has completed a sync of the shared state in this stay: else it is a newcomer to it.</summary>
    public bool HasSynced { get; set; }

    public bool Admitted => State is not (MasterPeerState.Unregistered or MasterPeerState.Pending);

    public override string ToString() => $"peer {Id.ToShortString()} ({Address})";
}

/// <summary>A peer group: the ring of its epoch and the attempts open in it.</summary>
internal sealed class GroupRecord(PeerGroup group)
{
    public PeerGroup Group { get; } = group;

    /// <summary>Members in ring order.</summary>
    public List<PeerRecord> Ring { get; set; } = [];

    public Epoch Epoch { get; set; }

    public bool Standing { get; set; }

    public long OpenedMs { get; set; }

    /// <summary>Members that it must have to reduce. To be counted again when a member comes or goes.</summary>
    public int KeptMinimum { get; private set; }

    public bool IsShort => Ring.Count < KeptMinimum;

    public void CountKeptMinimum() => KeptMinimum = Ring.Select(p => p.KeepsMinimum ? p.MinimumWorldSize : 0).DefaultIfEmpty().Max();

    /// <summary>The voters of a decided topology update, who are answered when the ring stands; and whether it has admitted anybody.</summary>
    public List<PeerRecord> Decided { get; } = [];

    public bool DecidedNewcomers { get; set; }

    /// <summary>Whether newcomers came while the members waited for company in collectives: who then asked hears so when the ring stands.</summary>
    public bool CompanyCame { get; set; }

    /// <summary>When the ring stood last, before the recovery that goes on.</summary>
    public long StoodMs { get; set; }

    /// <summary>When a member last entered, finished or asked for something.</summary>
    public long ChangedMs { get; set; }

    public int Acknowledgements { get; set; }

    /// <summary>Failed links since the group last stood.</summary>
    public int LinkFailures { get; set; }

    /// <summary>Epochs since the group last stood of which a link failed, and the last of them.</summary>
    public int FailedEpochs { get; set; }

    public Epoch FailedEpoch { get; set; }

    /// <summary>What is being found out about who reaches whom.</summary>
    public MasterStateMachine.LinkSurvey? Survey { get; set; }

    /// <summary>Why the next tick opens another epoch, if it does.</summary>
    public string? RetryBecause { get; set; }

    /// <summary>Why the ring does not stand any more, where neither the lost peers nor the failed links below say it: the first such reason since it last stood.</summary>
    public string Cause { get; set; } = "";

    /// <summary>Links that failed since the ring last stood, with what each end said.</summary>
    public List<LinkReport> LinkReports { get; } = [];

    /// <summary>Peers lost since the last standing epoch.</summary>
    public List<Exclusion> Excluded { get; } = [];

    public Dictionary<(Tag Tag, uint Ordinal), AttemptRecord> Attempts { get; } = [];

    /// <summary>The sync that at least one member has voted for and that has not ended.</summary>
    public SyncRecord? Sync { get; set; }

    /// <summary>The last successful sync. It means nothing any more when no member is left that took part in it: then any revision will do.</summary>
    public LastSync? LastSync { get; set; }
}

/// <summary>A sync of the shared state: votes, then, while members fetch, promises.</summary>
internal sealed class SyncRecord
{
    public Dictionary<PeerRecord, SyncVote> Votes { get; } = [];

    /// <summary>The different lists voted for.</summary>
    public List<StateList> Lists { get; } = [];

    /// <summary>Whether all have voted and somebody fetches.</summary>
    public bool Running { get; private set; }

    /// <summary>What is elected: how the group is left behind if it succeeds.</summary>
    public LastSync Elected { get; set; }

    /// <summary>Members that lack something.</summary>
    public HashSet<PeerRecord> Fetchers { get; } = [];

    /// <summary>Who was dismissed because its vote did not fit.</summary>
    public List<LeftOutPeer> LeftOut { get; } = [];

    /// <summary>Who holds the elected content now.</summary>
    public HashSet<PeerRecord> Promised { get; } = [];

    /// <summary>Who is named as a holder in a plan.</summary>
    public HashSet<PeerId> Holders { get; } = [];

    public HashSet<(PeerId Peer, PeerId Holder, bool WrongBytes)> Complaints { get; } = [];

    public void Run()
    {
        Running = true;
        Lists.Clear();
    }
}

/// <summary>What one end says about a link that failed.</summary>
internal readonly record struct LinkReport(PeerRecord From, PeerRecord To, PeerRecord Reporter, string Detail);
