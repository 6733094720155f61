using System.Xml.Linq;
using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>Every rule fires on a sample that breaks it, names the place, and keeps silent beside it.</summary>
[TestFixture]
internal sealed class RuleTests
{
    private static readonly (string, string) s_message = ("Protocol/Message.cs", "namespace Collective; public sealed class Message { public int Length; }");

    private static readonly (string, string) s_link = ("Transport/ILink.cs", """
        namespace Collective.Transport;
        internal enum Verdict { Receive }
        internal interface IHandler { Verdict Begin(); }
        internal interface ILink { void Send(IHandler handler); }
        internal sealed class Queue;
        """);

    [TestCase("class User : Base<Collective.Message> { } class Base<T> { }", TestName = "A use as a type argument of the base type")]
    [TestCase("class User { object Make() => new System.Collections.Generic.List<Collective.Message[]>(); }", TestName = "A use inside a body, as a type argument")]
    [TestCase("class User { void Make() { System.Action a = () => System.Console.WriteLine(typeof(Collective.Message)); a(); } }", TestName = "A use inside a lambda")]
    [TestCase("class User { System.Collections.Generic.IEnumerable<int> Make(object o) { yield return ((Collective.Message)o).Length; } }", TestName = "A use inside an iterator")]
    [TestCase("class User { class Nested { void Take(ref Collective.Message m) { } } }", TestName = "A use in a signature of a nested type")]
    [TestCase("class User { void Take<T>() where T : Collective.IMarker { } }", TestName = "A use as a constraint")]
    [TestCase("[System.AttributeUsage(System.AttributeTargets.All)] class NoteAttribute(System.Type t) : System.Attribute { public System.Type T => t; } [Note(typeof(Collective.Message))] class User;", TestName = "A use in an attribute")]
    public void Forbidden_use_is_found(string user)
    {
        using var core = SampleCore.Compile(s_message, ("Protocol/IMarker.cs", "namespace Collective; public interface IMarker;"), ("Kernels/User.cs", "namespace Collective.Kernels;\n" + user));
        var findings = core.ForbiddenUses().ToList();
        Assert.That(findings, Is.Not.Empty);
        Assert.That(findings, Has.All.Matches<Finding>(finding => finding.File == "Collective.Core/Kernels/User.cs" && finding.Line == 2));
        Assert.That(findings[0].Text, Does.StartWith("Kernels must not use Protocol: Collective.Kernels."));
    }

    [Test]
    public void Permitted_uses_are_silent()
    {
        using var core = SampleCore.Compile(
            s_message,
            s_link,
            ("Protocol/Invariant.cs", "namespace Collective.Protocol; internal static class Invariant { public static void Holds(bool b) { } }"),
            ("Kernels/User.cs", "namespace Collective.Kernels; class User { void F() => Collective.Protocol.Invariant.Holds(true); }"),
            ("Coordination/Peer/User.cs", "namespace Collective.Coordination; class User { int F(Collective.Message m) => m.Length; }"),
            ("Collectives/User.cs", "namespace Collective.Collectives; class User : Collective.Transport.IHandler { Collective.Transport.ILink L; public Collective.Transport.Verdict Begin() { L.Send(this); return default; } }"),
            ("Hosting/User.cs", "namespace Collective.Hosting; class User { Collective.Transport.Tcp.Stripe S; }"),
            ("Transport/Tcp/Stripe.cs", "namespace Collective.Transport.Tcp; class Stripe { Queue Q; }"));
        Assert.That(core.ForbiddenUses(), Is.Empty);
        Assert.That(core.HomelessTypes(), Is.Empty);
    }

    [TestCase("Collectives/User.cs", "class User { Collective.Transport.Queue Q; }", "Collectives must not use Transport:", TestName = "Collectives see the link only")]
    [TestCase("Client/User.cs", "class User { Collective.Transport.Tcp.Stripe S; }", "Client must not use Transport/Tcp:", TestName = "The client does not see TCP")]
    [TestCase("Hosting/User.cs", "class User { Collective.Kernels.Loops S; }", "Hosting must not use Kernels:", TestName = "Hosting does no arithmetic")]
    [TestCase("Transport/User.cs", "class User { Collective.Transport.Tcp.Stripe S; }", "Transport must not use Transport/Tcp:", TestName = "Transport does not know its implementations")]
    public void Rows_of_the_table_hold(string path, string user, string expected)
    {
        using var core = SampleCore.Compile(
            s_link,
            ("Transport/Tcp/Stripe.cs", "namespace Collective.Transport.Tcp; class Stripe;"),
            ("Kernels/Loops.cs", "namespace Collective.Kernels; class Loops;"),
            (path, user));
        Assert.That(core.ForbiddenUses().Select(finding => finding.Text), Has.One.StartsWith(expected));
    }

    [TestCase("object F() => new System.Random();", "System.Random")]
    [TestCase("object F() => System.DateTime.UtcNow;", "System.DateTime::get_UtcNow")]
    [TestCase("object F() => System.Guid.NewGuid();", "System.Guid::NewGuid")]
    [TestCase("object F() => System.Diagnostics.Stopwatch.GetTimestamp();", "System.Diagnostics.Stopwatch")]
    [TestCase("object F() => System.Environment.TickCount64;", "System.Environment::get_TickCount64")]
    [TestCase("void F() { lock (this) { } }", "System.Threading.Monitor")]
    [TestCase("async void F() { await System.Threading.Tasks.Task.Yield(); }", "System.Threading.Tasks")]
    [TestCase("void F(System.Net.Sockets.Socket s) { }", "System.Net.Sockets.Socket")]
    [TestCase("void F() => System.Console.WriteLine();", "System.Console::WriteLine")]
    public void Impure_use_is_found(string member, string expected)
    {
        using var core = SampleCore.Compile(("Coordination/Peer/User.cs", $"namespace Collective.Coordination;\nclass User {{ {member} }}"));
        var findings = core.ImpureUses().ToList();
        Assert.That(findings.Select(finding => finding.ToString()), Has.Some.StartsWith("Collective.Core/Coordination/Peer/User.cs:2: Coordination is pure: Collective.Coordination.User uses " + expected));
    }

    [Test]
    public void Impurity_elsewhere_and_pure_values_are_silent()
    {
        using var core = SampleCore.Compile(
            ("Hosting/Clock.cs", "class Clock { object F() => System.DateTime.UtcNow; }"),
            ("Coordination/User.cs", "class User { System.DateTime At; System.Guid Id; System.Net.IPEndPoint E; System.Collections.Generic.IEnumerable<int> F() { yield return 1; } }"));
        Assert.That(core.ImpureUses(), Is.Empty);
    }

    [Test]
    public void Public_types_and_unknown_folders_are_found()
    {
        using var core = SampleCore.Compile(("Hosting/Host.cs", "public class Host;"), ("Client/Facade.cs", "public class Facade;"), ("Misc/Helper.cs", "class Helper;"), ("Root.cs", "class Root;"));
        Assert.That(core.MisplacedPublicTypes().Select(finding => finding.File), Is.EqualTo(new[] { "Collective.Core/Hosting/Host.cs" }));
        Assert.That(core.HomelessTypes().Select(finding => finding.File), Is.EquivalentTo(new[] { "Collective.Core/Misc/Helper.cs", "Collective.Core/Root.cs" }));
    }

    [Test]
    public void Long_methods_are_found()
    {
        static string Method(int lines) => $"class C\n{{\n    /// <summary>Doc.</summary>\n    [System.Obsolete]\n    void F()\n    {{\n{string.Concat(Enumerable.Repeat("        G();\n", lines - 3))}    }}\n}}\n";
        Assert.That(SourceRules.LongMethods([Sample(Method(HouseRules.MethodLinesMax))]), Is.Empty);
        var finding = SourceRules.LongMethods([Sample(Method(HouseRules.MethodLinesMax + 1))]).Single();
        Assert.That(finding.ToString(), Is.EqualTo("Collective.Core/Sample.cs:5: a method of 71 lines; the maximum is 70"));
        Assert.That(SourceRules.LongPrograms([Sample(string.Concat(Enumerable.Repeat("G();\n", 71)))]).Count(), Is.EqualTo(1));
    }

    [Test]
    public void Long_files_are_found()
    {
        Assert.That(SourceRules.LongFiles([Sample(new string('\n', 450))], 450), Is.Empty);
        Assert.That(SourceRules.LongFiles([Sample(new string('\n', 451))], 450).Single().Text, Does.StartWith("a file of 451 lines"));
    }

    [TestCase("class TcpServer;", "server")]
    [TestCase("class C { int _packetCount; }", "packet")]
    [TestCase("class C { void F() { foreach (var worker in W) { } } }", "worker")]
    [TestCase("record R(int NodeCount);", "node")]
    [TestCase("class MasterContext;", "context")]
    [TestCase("enum E { Allreduce }", "allreduce")]
    [TestCase("class C { void SendTCPPacket() { } }", "packet")]
    public void Banned_words_are_found(string text, string word)
        => Assert.That(Glossary.Check([Sample(text)]).Single().Text, Does.Contain($"says \"{word}\""));

    [TestCase("class Observer { int reserved; void Unregistered(object context) { } }")]
    [TestCase("// A client, a server, a node.\nclass C { string s = \"packet\"; TcpClient c; }")]
    [TestCase("enum Stage { AllReduce, Options, Operation, Jobless }")]
    public void Other_words_are_silent(string text)
        => Assert.That(Glossary.Check([Sample(text)]), Is.Empty);

    [TestCase("class C { void F() => Thread.Sleep(1); }")]
    [TestCase("class C { void F() => System.Threading.Thread.Sleep(1); }")]
    [TestCase("class C { Task F() => Task.WhenAny(T, Task.Delay(1)); }")]
    [TestCase("class C { Action<int> F => Thread.SpinWait; }")]
    [TestCase("class C { void F() { var w = new SpinWait(); } }")]
    public void Waiting_by_time_is_found(string text)
        => Assert.That(SourceRules.WaitingByTime([Sample(text)]).Select(finding => finding.Line), Is.Not.Empty.And.All.EqualTo(1));

    [TestCase("class C { async Task F() { await Task.Delay(1); } }", 1)]
    [TestCase("class C { async Task F() { await Task.Delay(1).ConfigureAwait(false); } }", 1)]
    [TestCase("class C { void F() { Thread.Sleep(1); } }", 1)]
    [TestCase("class C { async Task F() { await Task.WhenAny(T, Task.Delay(1)); } }", 0)]
    public void Sleeping_tests_are_found(string text, int count)
        => Assert.That(SourceRules.SleepingTests([Sample(text)]).Count(), Is.EqualTo(count));

    [Test]
    public void Scattered_limits_are_found()
    {
        const string Text = "class C { const int BytesMax = 1; static readonly int s_linesMax = 2; int _restMax; static readonly int ReduceMaximum = 3; } enum E { Max }";
        Assert.That(SourceRules.ScatteredLimits([Sample(Text)]).Count(), Is.EqualTo(2));
        Assert.That(SourceRules.ScatteredLimits([SourceFile.Parse("Collective.Core/Protocol/Limits.cs", Text)]), Is.Empty);
        Assert.That(SourceRules.LimitsElsewhere([SourceFile.Parse("Collective.Core/Hosting/Limits.cs", Text)]).Count(), Is.EqualTo(1));
    }

    [TestCase("Collective.Master", "../Collective.Core/Collective.Core.csproj", 0)]
    [TestCase("Collective.Core", "../Collective.Master/Collective.Master.csproj", 1)]
    [TestCase("Collective.Unknown", "../Collective.Core/Collective.Core.csproj", 1)]
    public void Project_references_are_checked(string project, string reference, int count)
    {
        var text = $"<Project><ItemGroup><ProjectReference Include=\"{reference}\" /></ItemGroup></Project>";
        Assert.That(ProjectRules.Check([($"{project}/{project}.csproj", XDocument.Parse(text, LoadOptions.SetLineInfo))]).Count(), Is.EqualTo(count));
    }

    private static SourceFile Sample(string text) => SourceFile.Parse("Collective.Core/Sample.cs", text);
}
