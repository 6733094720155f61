using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Collective.Architecture;

/// <summary>Rules that are judged on the source alone.</summary>
internal static class SourceRules
{
    public static IEnumerable<Finding> LongMethods(IEnumerable<SourceFile> files)
        => from file in files
           from node in file.Syntax.DescendantNodes()
           let lines = IsMethod(node) ? Lines(node) : 0
           where lines > HouseRules.MethodLinesMax
           select file.Finding(FirstToken(node), $"a method of {lines} lines; the maximum is {HouseRules.MethodLinesMax}");

    /// <summary>The statements of a Program.cs without a Main are one method too.</summary>
    public static IEnumerable<Finding> LongPrograms(IEnumerable<SourceFile> files)
        => from file in files
           let statements = file.Syntax.ChildNodes().OfType<GlobalStatementSyntax>().ToList()
           where statements.Count > 0
           let lines = statements.Sum(statement => Lines(statement))
           where lines > HouseRules.MethodLinesMax
           select file.Finding(statements[0], $"a program of {lines} lines of statements; the maximum is {HouseRules.MethodLinesMax}");

    public static IEnumerable<Finding> LongFiles(IEnumerable<SourceFile> files, int linesMax)
        => from file in files
           where file.LineCount > linesMax + 1 // The line after the last newline is empty.
           select new Finding(file.Path, file.LineCount, $"a file of {file.LineCount - 1} lines; the maximum is {linesMax}");

    /// <summary>Thread.Sleep and its like, called or passed as a method group.</summary>
    public static IEnumerable<Finding> WaitingByTime(IEnumerable<SourceFile> files)
        => from file in files
           where !HouseRules.MayWaitByTime.Contains(file.Path)
           from node in file.Syntax.DescendantNodes()
           let name = WaitOf(node)
           where name is not null
           select file.Finding(node, $"{name} waits by letting time pass; wait for the event, with a deadline");

    /// <summary>In tests a delay may be the deadline of something else, but not a pause of its own.</summary>
    public static IEnumerable<Finding> SleepingTests(IEnumerable<SourceFile> files)
        => from file in files
           from node in file.Syntax.DescendantNodes()
           let name = WaitOf(node)
           where name is "Thread.Sleep" or "Thread.SpinWait" || (name == "Task.Delay" && IsPause(node))
           select file.Finding(node, $"{name} waits by letting time pass; await the event, with a deadline");

    /// <summary>Constants named …Max belong into the file Limits.cs of their project.</summary>
    public static IEnumerable<Finding> ScatteredLimits(IEnumerable<SourceFile> files)
        => from file in files
           where Path.GetFileName(file.Path) != "Limits.cs"
           from field in file.Syntax.DescendantNodes().OfType<BaseFieldDeclarationSyntax>()
           where field.Modifiers.Any(SyntaxKind.ConstKeyword) || (field.Modifiers.Any(SyntaxKind.StaticKeyword) && field.Modifiers.Any(SyntaxKind.ReadOnlyKeyword))
           from variable in field.Declaration.Variables
           where IsLimit(variable.Identifier.Text)
           select file.Finding(variable, $"the limit '{variable.Identifier.Text}' belongs into Limits.cs");

    /// <summary>Core has exactly one file of limits, and it is in Protocol/.</summary>
    public static IEnumerable<Finding> LimitsElsewhere(IEnumerable<SourceFile> core)
        => from file in core
           where Path.GetFileName(file.Path) == "Limits.cs" && file.Path != $"{HouseRules.Core}/Protocol/Limits.cs"
           select new Finding(file.Path, 1, $"the limits of {HouseRules.Core} live in Protocol/Limits.cs");

    private static bool IsLimit(string name) => name.EndsWith("Max", StringComparison.Ordinal) || name.EndsWith("_max", StringComparison.Ordinal);

    private static bool IsMethod(SyntaxNode node) => node switch
    {
        BaseMethodDeclarationSyntax or AccessorDeclarationSyntax or LocalFunctionStatementSyntax => true,
        PropertyDeclarationSyntax property => property.ExpressionBody is not null,
        IndexerDeclarationSyntax indexer => indexer.ExpressionBody is not null,
        _ => false,
    };

    private static int Lines(SyntaxNode node) => SourceFile.LineOf(node.GetLastToken()) - SourceFile.LineOf(FirstToken(node)) + 1;

    /// <summary>Where the reader sees the declaration begin: after documentation and attributes.</summary>
    private static SyntaxToken FirstToken(SyntaxNode node)
    {
        var attributes = node.ChildNodes().OfType<AttributeListSyntax>().LastOrDefault();
        return attributes is null ? node.GetFirstToken() : attributes.GetLastToken().GetNextToken();
    }

    private static string? WaitOf(SyntaxNode node)
    {
        var name = node switch
        {
            MemberAccessExpressionSyntax access => $"{LastName(access.Expression)}.{access.Name.Identifier.Text}",
            IdentifierNameSyntax identifier => identifier.Identifier.Text,
            _ => null,
        };
        return name is not null && HouseRules.WaitingByTime.Contains(name) ? name : null;
    }

    private static string LastName(ExpressionSyntax expression) => expression switch
    {
        IdentifierNameSyntax identifier => identifier.Identifier.Text,
        MemberAccessExpressionSyntax access => access.Name.Identifier.Text,
        _ => "",
    };

    /// <summary>Whether the statement does nothing but await the delay: <c>await Task.Delay(100);</c> with or without ConfigureAwait.</summary>
    private static bool IsPause(SyntaxNode delay)
    {
        var outer = delay.Parent;
        while (outer is InvocationExpressionSyntax or MemberAccessExpressionSyntax)
        {
            outer = outer.Parent;
        }

        return outer is AwaitExpressionSyntax { Parent: ExpressionStatementSyntax };
    }
}
