using System.Diagnostics;

namespace Collective.Stress.Churn;

/// <summary>Everything that is known about a run so far: the peers, what was done to them, and what the judges found.</summary>
internal sealed class ChurnProgress
{
    private const int StoryMax = 200;

    private readonly List<(long At, Action Check)> _later = [];
    private readonly HashSet<string> _known = [];
    private readonly List<string> _failures = [];

    private readonly TextWriter? _log;

    /// <param name="plan">What the run does.</param>
    /// <param name="log">Where the master's log and all that happens goes; null for nowhere.</param>
    public ChurnProgress(ChurnPlan plan, TextWriter? log = null)
    {
        _log = log;
        Plan = plan;
        Blame = new BlameJudge(Strikes);
        Recoveries = new RecoveryWatch(Strikes);
        Stalls = new StallJudge(StartedAt);

        // For each peer three pipes and a connection to the master, and connections that have ended but not closed.
        OwnResources = new LeakJudge("the orchestrator with the master", socketsMax: 8 + (6 * plan.Peers), threadsMax: 96, growthAllowance: 4 * plan.Peers);
    }

    public ChurnPlan Plan { get; }

    public long StartedAt { get; } = Stopwatch.GetTimestamp();

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(StartedAt);

    public List<Subject> Subjects { get; } = [];

    public IEnumerable<Subject> Present => Subjects.Where(subject => subject.IsPresent);

    public StrikeBook Strikes { get; } = new();

    public OutcomeJudge Outcomes { get; } = new();

    public BlameJudge Blame { get; }

    public RecoveryWatch Recoveries { get; }

    public StallJudge Stalls { get; }

    public LeakJudge OwnResources { get; }

    public int Joins { get; set; }

    public int Aborted { get; private set; }

    public int Retried { get; private set; }

    public int Reconnects { get; private set; }

    /// <summary>Times that a peer's shared state was found or made equal to the others'.</summary>
    public int Syncs { get; private set; }

    /// <summary>Times that a newcomer was handed the state of the others.</summary>
    public int Handovers { get; private set; }

    /// <summary>Calls that failed because of another peer.</summary>
    public int FailedSyncs { get; private set; }

    /// <summary>Peers killed while state was coming to them or to others.</summary>
    public int KillsInHandover { get; private set; }

    /// <summary>Newcomers that did not fit, and were told so.</summary>
    public int Dismissals { get; private set; }

    /// <summary>Misfits that were taken in, and healthy peers that had to suffer for one.</summary>
    public List<string> Misjudged { get; } = [];

    /// <summary>Times that a peer without descriptors said so.</summary>
    public int Shortages { get; private set; }

    public int MasterFrozen { get; private set; }

    /// <summary>The longest time in which the orchestrator, and the master with it, did not get to run.</summary>
    public TimeSpan StoodStill { get; private set; }

    public List<string> WrongResults { get; } = [];

    public List<string> Unrestored { get; } = [];

    /// <summary>Peers that were frozen for longer than the timeout and did not hear, or say, why they were evicted.</summary>
    public List<string> UnclearEvictions { get; } = [];

    /// <summary>What ends the run at once, and other things that a peer must not do.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>The latest sentences, for the display.</summary>
    public List<string> Story { get; } = [];

    public int Told { get; private set; }

    public void OnStoodStill(TimeSpan length)
    {
        StoodStill = length > StoodStill ? length : StoodStill;
        Log($"the orchestrator stood still for {length.TotalSeconds:0.0} s");
    }

    public void Fail(string sentence) => _failures.Add(sentence);

    /// <summary>For the log file only.</summary>
    public void Log(string sentence, long? at = null) => _log?.WriteLine(Stamped(sentence, at));

    public void Tell(string sentence)
    {
        Log(sentence);
        Story.Add(Stamped(sentence, null));
        Told++;
        if (Story.Count > StoryMax)
        {
            Story.RemoveAt(0);
        }
    }

    private string Stamped(string sentence, long? at)
        => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(at is { } then ? Stopwatch.GetElapsedTime(StartedAt, then) : Elapsed).TotalSeconds,8:0.000} s  {sentence}");

    /// <summary>Checks that need what others may still be about to say are made a little later.</summary>
    public void RunDueChecks(bool all = false)
    {
        var now = Stopwatch.GetTimestamp();
        foreach (var (at, check) in _later.Where(item => all || Stopwatch.GetElapsedTime(item.At, now) > TimeSpan.FromSeconds(3)).ToList())
        {
            _later.Remove((at, check));
            check();
        }
    }

    public void Apply(Subject subject, ChurnEvent news)
    {
        if (news is ChurnEvent.Waiting waiting)
        {
            subject.Waiting = waiting;
            Log($"{subject.Name} (peer {subject.Peer}) waits in {waiting.Call} of step {waiting.Step} for {waiting.Seconds} s");
            return;
        }

        subject.LastNews = Stopwatch.GetTimestamp();
        subject.Waiting = null;
        switch (news)
        {
            case ChurnEvent.Connected connected: OnConnected(subject, connected); break;
            case ChurnEvent.Committed committed: OnCommitted(subject, committed); break;
            case ChurnEvent.Aborted aborted: OnAborted(subject, aborted); break;
            case ChurnEvent.Receiving: subject.IsReceiving = true; break;
            case ChurnEvent.Synced synced:
                subject.IsReceiving = false;
                subject.SyncedSince ??= synced.Step;
                Syncs++;
                Handovers += synced.BytesReceived > 0 ? 1 : 0;
                break;
            case ChurnEvent.SyncFailed failed:
                subject.IsReceiving = false;
                FailedSyncs++;
                if (!IsTieOfNewcomers(subject, failed) && Strikes.All.LastOrDefault(strike => strike.Kind == ChurnKind.Join && failed.Message.Contains(strike.Peer, StringComparison.Ordinal)) is { } misfit)
                {
                    Misjudged.Add($"{subject.Name} (peer {subject.Peer}) failed in step {failed.Step} because of peer {misfit.Peer}, which does not fit: {failed.Message}");
                }

                Log($"{subject.Name} (peer {subject.Peer}): sync of step {failed.Step} failed: {failed.Message}", failed.At);
                break;
            case ChurnEvent.Alone alone:
                subject.WorldSize = 1;
                Outcomes.OnAlone(subject.Peer, alone.Step);
                break;
            case ChurnEvent.LinksBroken broken: OnLinksBroken(subject, broken); break;
            case ChurnEvent.Lost lost: OnLost(subject, lost); break;
            case ChurnEvent.Dismissed dismissed: OnDismissed(subject, dismissed); break;
            case ChurnEvent.Accepted accepted: OnAccepted(subject, accepted); break;
            case ChurnEvent.Wrong wrong: WrongResults.Add($"{subject.Name}: {wrong.Message}"); break;
            case ChurnEvent.Unrestored unrestored: Unrestored.Add($"{subject.Name}: {unrestored.Message}"); break;
            case ChurnEvent.Failed failed: Fail($"{subject.Name} failed: {failed.Message}"); break;
        }
    }

    public void Apply(MasterNews news)
    {
        Recoveries.OnMaster(news);
        Log($"master: {news.Kind} {news.Text}", news.At);
        switch (news.Kind)
        {
            case MasterNews.PeerEvicted:
                _later.Add((news.At, () => Blame.OnEvicted(news.At, news.Text, _known.Contains)));
                _later.Add((news.At, () => Detect(news)));
                break;
            case MasterNews.PeerDismissed when HasIncumbent:
                _later.Add((news.At, () => JudgeDismissal(news)));
                break;
            case MasterNews.PeerFaulted:
                _later.Add((news.At, () => Blame.OnFaulted(news.At, news.Text)));
                _later.Add((news.At, () => Detect(news)));
                break;
            case MasterNews.PeerLost or MasterNews.PeerLeft or MasterNews.LinkFailed:
                _later.Add((news.At, () => Detect(news)));
                break;
            case MasterNews.MasterWasFrozen:
                MasterFrozen++;
                Tell(news.Text);
                break;
        }
    }

    /// <summary>Whether somebody has synced to whom newcomers must fit. Without that they are judged by their number, and misfits may be more.</summary>
    private bool HasIncumbent => Present.Any(subject => subject.IsHealthy && subject.Peer.Length > 0 && subject.SyncedSince is not null);

    private void JudgeDismissal(MasterNews news)
    {
        // Looked at twice: the word that an incumbent has lost its place may have been under way.
        if (HasIncumbent)
        {
            Blame.OnDismissed(news.At, news.Text, _known.Contains);
        }
    }

    public void OnKill() => KillsInHandover += Present.Any(subject => subject.IsReceiving) ? 1 : 0;

    private void OnConnected(Subject subject, ChurnEvent.Connected news)
    {
        Log($"{subject.Name} is peer {news.Id}, admitted in a world of {news.WorldSize}", news.At);
        Reconnects += subject.Step > 0 ? 1 : 0;
        subject.Peer = news.Id;
        subject.WorldSize = news.WorldSize;
        subject.SyncedSince = null;
        if (subject.Misfit is not null)
        {
            Strikes.Add(new Strike(ChurnKind.Join, subject.Child.Index, news.Id, news.At)); // It may be blamed.
        }

        _known.Add(news.Id);
        Outcomes.OnConnected(news.Id);
        foreach (var strike in Strikes.All.Where(strike => strike.Process == subject.Child.Index && strike.Peer.Length == 0 && strike.At >= news.At))
        {
            strike.Peer = news.Id; // It was hit before its word that it is connected had been read.
        }
    }

    private void OnCommitted(Subject subject, ChurnEvent.Committed news)
    {
        subject.Step = news.Step;
        subject.WorldSize = news.Contributors.Count;
        Retried += news.Aborts > 0 ? 1 : 0;
        Outcomes.OnCommitted(subject.Peer, news);
        Stalls.OnCommitted(news.At);
        foreach (var strike in Strikes.All.Where(strike => strike is { Kind: ChurnKind.Kill, Retried: null, Peer.Length: > 0 } && strike.At < news.At && !news.Contributors.Contains(strike.Peer)))
        {
            strike.Retried = news.At;
        }
    }

    private void OnAborted(Subject subject, ChurnEvent.Aborted news)
    {
        Aborted++;
        Log($"{subject.Name} (peer {subject.Peer}): operation {news.Operation} of step {news.Step} aborted: {news.Message}", news.At);
        Outcomes.OnAborted(subject.Peer, news);
        _later.Add((news.At, () => Blame.OnAborted(news.At, news.Message, _known.Contains)));
    }

    /// <summary>A peer that is alone, or whose ring is just being made, has no connection to reset: then there is nothing to detect.</summary>
    private void OnLinksBroken(Subject subject, ChurnEvent.LinksBroken news)
    {
        if (news.Connections == 0 && Strikes.All.LastOrDefault(strike => strike.Kind == ChurnKind.Reset && strike.Process == subject.Child.Index) is { } reset)
        {
            reset.IsVoid = true;
        }
    }

    private void OnLost(Subject subject, ChurnEvent.Lost news)
    {
        subject.IsReceiving = false;
        Tell($"{subject.Name} (peer {subject.Peer}) was told: {news.Code}: {news.Message}");
        if (subject.OwesEviction is { Kind: ChurnKind.Freeze } && !(news.Code == nameof(ErrorCode.Evicted) && news.Message.Contains("no heartbeat for", StringComparison.Ordinal)))
        {
            UnclearEvictions.Add($"{subject.Name} was frozen for longer than the timeout and heard {news.Code}: {news.Message}");
        }

        if (news.Code == nameof(ErrorCode.LimitExceeded))
        {
            Shortages++;
            if (!Strikes.WasStarved(subject.Peer, subject.Child.Index, news.At))
            {
                Fail($"{subject.Name} lacks nothing and heard {news.Code}: {news.Message}");
            }
        }

        subject.OwesEviction = null;
        subject.Peer = "";
    }

    private void OnDismissed(Subject subject, ChurnEvent.Dismissed news)
    {
        Dismissals++;
        subject.IsDone = true;
        Log($"{subject.Name} (peer {subject.Peer}), a misfit in its {subject.Misfit}, was dismissed: {news.Code}: {news.Message}", news.At);
    }

    /// <summary>All that had synced are gone, and as many of those that came after them fit as do not.</summary>
    private static bool IsTieOfNewcomers(Subject subject, ChurnEvent.SyncFailed failed)
        => subject.SyncedSince is null && failed.Message.Contains(ChurnPeer.Undecided, StringComparison.Ordinal);

    /// <summary>Right where it met only others that had nothing to lose: then it goes.</summary>
    private void OnAccepted(Subject subject, ChurnEvent.Accepted news)
    {
        subject.IsDone = true;
        var incumbent = Present.FirstOrDefault(other => other.IsHealthy && other.Peer.Length > 0 && other.SyncedSince < news.Step);
        if (news.WorldSize > 1 && incumbent is not null)
        {
            Misjudged.Add($"{subject.Name} (peer {subject.Peer}), a misfit in its {subject.Misfit}, was accepted into a world of {news.WorldSize} in step {news.Step}, in which {incumbent.Name} had synced before");
        }
    }

    private void Detect(MasterNews news)
    {
        var named = MasterWatch.PeersIn(news.Text);
        var strike = Strikes.All.LastOrDefault(strike => strike.Detected is null && strike.At <= news.At && Explains(strike, news, named));
        if (strike is not null)
        {
            strike.Detected = news.At;
        }
    }

    private static bool Explains(Strike strike, MasterNews news, IReadOnlyList<string> named) => strike.Kind switch
    {
        ChurnKind.Reset => news.Kind == MasterNews.LinkFailed && named.Contains(strike.Peer) && !strike.IsVoid && Stopwatch.GetElapsedTime(strike.At, news.At) < ChurnPlan.HeartbeatTimeout,
        ChurnKind.Starve => news.Kind == MasterNews.PeerFaulted && named.Count > 0 && named[0] == strike.Peer,
        ChurnKind.Leave => news.Kind == MasterNews.PeerLeft && named.Count > 0 && named[0] == strike.Peer,
        _ => news.Kind is MasterNews.PeerLost or MasterNews.PeerEvicted && named.Count > 0 && named[0] == strike.Peer,
    };
}
