using Collective.Stress.Processes;

namespace Collective.Stress.Demo;

/// <summary>What a peer process of the demo is doing.</summary>
internal enum PeerStatus
{
    Starting,
    Connected,
    Training,
    Waiting,
    Dying,
    Killed,
    Done,
    Failed,
}

/// <summary>What the orchestrator knows about one peer process.</summary>
internal sealed class PeerProgress(int index, int processId, bool isNewcomer)
{
    public string Name { get; } = isNewcomer ? $"peer {index} (newcomer)" : $"peer {index}";

    public int ProcessId { get; } = processId;

    public bool IsNewcomer { get; } = isNewcomer;

    public PeerStatus Status { get; set; }

    public int Rank { get; set; }

    public int Step { get; set; }

    /// <summary>Steps in which this peer took part.</summary>
    public int StepsTaken { get; set; }

    public double Loss { get; set; }

    public double SamplesPerSecond { get; set; }

    public long BytesSent { get; set; }

    public int Aborted { get; set; }

    public int Retried { get; set; }

    /// <summary>Steps that were done when this peer was handed the state of the others; null if it was not.</summary>
    public int? ReceivedAfterStep { get; set; }

    /// <summary>How much of the others' state it has received; null before it began to.</summary>
    public DemoEvent.Receiving? Receiving { get; set; }

    /// <summary>Its last report; null if it never came to the end.</summary>
    public DemoEvent.Done? Result { get; set; }
}

/// <summary>The state of a run of the demo as its orchestrator sees it: events go in, figures and a story come out.</summary>
internal sealed class DemoProgress(DemoPlan plan)
{
    public DemoPlan Plan { get; } = plan;

    public List<PeerProgress> Peers { get; } = [];

    /// <summary>What happened so far, in sentences.</summary>
    public List<string> Story { get; } = [];

    /// <summary>Why the run cannot be completed; null as long as it can.</summary>
    public string? Failure { get; private set; }

    /// <summary>The newest step that some peer completed.</summary>
    public int Step { get; private set; }

    public int WorldSize { get; private set; }

    public PeerProgress? Victim => Peers.Find(peer => peer.Status is PeerStatus.Dying or PeerStatus.Killed);

    public PeerProgress? Newcomer => Peers.Find(peer => peer.IsNewcomer);

    /// <summary>Peers that are not lost.</summary>
    public IEnumerable<PeerProgress> Survivors => Peers.Where(peer => peer != Victim);

    /// <summary>Mean of the latest losses of the peers.</summary>
    public double Loss => Survivors.Where(peer => peer.StepsTaken > 0).Select(peer => peer.Loss).DefaultIfEmpty(double.NaN).Average();

    /// <summary>Images per second of all peers together.</summary>
    public double SamplesPerSecond => Survivors.Sum(peer => peer.SamplesPerSecond);

    /// <summary>Payload that the peers sent to each other, without what was aborted.</summary>
    public long BytesMoved => Peers.Sum(peer => peer.BytesSent);

    /// <summary>True once the survivors have gone on without the victim as far as planned.</summary>
    public bool IsNewcomerDue => Plan.HasKill && Newcomer is null && Step == Plan.NewcomerAtStep - 1;

    /// <summary>Takes in that the next peer process was started. Peers are numbered in this order, from 0.</summary>
    public void AddPeer(int processId, bool isNewcomer)
    {
        Peers.Add(new PeerProgress(Peers.Count, processId, isNewcomer));
        if (isNewcomer)
        {
            Story.Add($"A new peer is started: {Peers[^1].Name}, process {processId}.");
        }
    }

    public void Fail(string reason) => Failure ??= reason;

    /// <summary>Takes in what a peer reported.</summary>
    public void Apply(int index, DemoEvent news)
    {
        var peer = Peers[index];
        switch (news)
        {
            case DemoEvent.Connected connected:
                OnConnected(peer, connected);
                break;
            case DemoEvent.HandedOver handedOver:
                OnHandedOver(peer, handedOver);
                break;
            case DemoEvent.Receiving receiving:
                peer.Receiving = receiving;
                break;
            case DemoEvent.StepDone step:
                OnStepDone(peer, step);
                break;
            case DemoEvent.AwaitingNewcomer:
                peer.Status = PeerStatus.Waiting;
                break;
            case DemoEvent.Dying dying:
                peer.Status = PeerStatus.Dying;
                Story.Add($"{peer.Name} (rank {peer.Rank}, process {peer.ProcessId}) ends itself by SIGKILL in the middle of the all-reduce of step {dying.Step}.");
                break;
            case DemoEvent.AllReduceAborted aborted:
                peer.Aborted++;
                Story.Add($"{peer.Name}: the all-reduce of step {aborted.Step} was aborted. {aborted.Message}");
                break;
            case DemoEvent.AllReduceRetried retried:
                peer.Retried++;
                Story.Add($"{peer.Name}: called again, it succeeded among {retried.WorldSize} peers.");
                break;
            case DemoEvent.Alone alone:
                Story.Add($"{peer.Name} is alone in step {alone.Step} and goes on by itself.");
                break;
            case DemoEvent.Done done:
                peer.Status = PeerStatus.Done;
                peer.Result = done;
                break;
            case DemoEvent.Failed failed:
                peer.Status = PeerStatus.Failed;
                Fail($"{peer.Name} failed: {failed.Message}");
                break;
        }
    }

    /// <summary>Takes in that the process of a peer ended, having written <paramref name="errorText"/> to standard error.</summary>
    public void ApplyEnd(int index, int exitCode, string errorText)
    {
        var peer = Peers[index];
        if (peer.Status == PeerStatus.Dying && exitCode == SelfKill.ExitCode)
        {
            peer.Status = PeerStatus.Killed;
        }
        else if (exitCode != 0 || peer.Status != PeerStatus.Done)
        {
            peer.Status = PeerStatus.Failed;
            Fail($"{peer.Name} (process {peer.ProcessId}) ended with exit code {exitCode} before it was done. {errorText}".TrimEnd());
        }
    }

    private void OnConnected(PeerProgress peer, DemoEvent.Connected connected)
    {
        peer.Status = PeerStatus.Connected;
        peer.Rank = connected.Rank;
        WorldSize = connected.WorldSize;
        if (!peer.IsNewcomer && Peers.TrueForAll(other => other.Status == PeerStatus.Connected))
        {
            Story.Add($"{Peers.Count} peers are connected; the training begins.");
        }
    }

    private void OnHandedOver(PeerProgress peer, DemoEvent.HandedOver handedOver)
    {
        peer.Status = PeerStatus.Training;
        peer.Rank = handedOver.Rank;
        WorldSize = handedOver.WorldSize;
        if (handedOver.Received)
        {
            peer.ReceivedAfterStep = handedOver.StepsDone;
            Story.Add($"{peer.Name} was admitted and handed the state after step {handedOver.StepsDone} ({Bytes.Text(handedOver.Bytes)} from {handedOver.Donors} of the others); the world has {handedOver.WorldSize} peers.");
        }
    }

    private void OnStepDone(PeerProgress peer, DemoEvent.StepDone step)
    {
        peer.Status = PeerStatus.Training;
        peer.Rank = step.Rank;
        peer.Step = step.Step;
        peer.StepsTaken++;
        peer.Loss = step.Loss;
        peer.SamplesPerSecond = step.SamplesPerSecond;
        peer.BytesSent += step.BytesSent;
        if (step.Step >= Step)
        {
            Step = step.Step;
            WorldSize = step.WorldSize;
        }
    }
}
